"""One thread beside the network: order, errors, and how many shards are in memory."""

import threading

import pytest

from tasks.runtime.beside import UNDER_WAY, Beside


def test_results_come_in_order_and_are_computed_in_another_thread():
    threads = set()

    def double(job):
        threads.add(threading.current_thread())
        return 2 * job

    assert list(Beside().map(double, iter(range(5)))) == [0, 2, 4, 6, 8]
    assert len(threads) == 1
    assert threading.main_thread() not in threads


def test_the_next_job_is_taken_while_one_is_computed_and_no_more():
    taken, second = [], threading.Event()

    def jobs():
        for job in range(6):
            taken.append(job)
            if job == 1:
                second.set()
            yield job

    def wait(job):
        assert second.wait(timeout=60)
        assert len(taken) <= job + UNDER_WAY
        return job

    assert list(Beside().map(wait, jobs())) == list(range(6))


def test_an_error_ends_it_and_the_rest_is_not_computed():
    done = []

    def fail(job):
        if job == 1:
            raise ValueError("job 1")
        done.append(job)

    with pytest.raises(ValueError, match="job 1"):
        list(Beside().map(fail, iter(range(50))))
    assert len(done) < 5
