import sys

import pytest

from tasks.runtime import progress
from tasks.runtime.progress import Progress, duration, track


class Clock:
    """A clock that stands until it is set."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress.time, "monotonic", clock.monotonic)
    return clock


def pretend_a_terminal(monkeypatch):
    """Standard error is a terminal; without this, it is not."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)


def test_a_log_gets_one_line_in_thirty_seconds_at_most(clock, log_lines, capsys):
    with Progress("LoadDepth", 400, "shard") as bar:
        for _ in range(100):
            clock.now += 1
            bar.update()
    assert log_lines == [
        "LoadDepth: 30 of 400 shards, 1 shards/s, 6 min left",
        "LoadDepth: 60 of 400 shards, 1 shards/s, 6 min left",
        "LoadDepth: 90 of 400 shards, 1 shards/s, 5 min left",
    ]
    assert capsys.readouterr().err == ""


def test_slow_steps_are_told_one_by_one(clock, log_lines):
    with Progress("TrainClassifier", 3, "step") as bar:
        for _ in range(3):
            clock.now += 45
            bar.update(note="loss 0.5")
    assert log_lines == [
        "TrainClassifier: 1 of 3 steps, 0.0222 steps/s, 2 min left, loss 0.5",
        "TrainClassifier: 2 of 3 steps, 0.0222 steps/s, 45 s left, loss 0.5",
        "TrainClassifier: 3 of 3 steps, 0.0222 steps/s, 0 s left, loss 0.5",
    ]


def test_quick_work_is_not_told_at_all(clock, log_lines):
    with Progress("LoadDepth", 4, "shard") as bar:
        bar.update(4)
    assert log_lines == []


def test_a_terminal_gets_a_bar_and_no_line(clock, log_lines, monkeypatch, capsys):
    pretend_a_terminal(monkeypatch)
    with Progress("LoadDepth", 4, "shard") as bar:
        for _ in range(4):
            clock.now += 60
            bar.update(note="loss 0.5")
    shown = capsys.readouterr().err
    assert "LoadDepth: 100%" in shown
    assert "4/4" in shown
    assert "loss 0.5" in shown
    assert log_lines == []


def test_the_rate_is_of_this_run(clock):
    bar = Progress("TrainClassifier", 100, "step", initial=40)
    bar.update(20)
    assert bar.line(10.0) == "TrainClassifier: 60 of 100 steps, 2 steps/s, 20 s left"


def test_without_a_total_no_time_is_left(clock):
    bar = Progress("voc.tar", None, "byte")
    bar.update(3_000_000)
    assert bar.line(2.0, "fetching") == "voc.tar: 3000000 bytes, 1.5e+06 bytes/s, fetching"


def test_before_anything_is_done_there_is_no_rate(clock):
    bar = Progress("LoadDepth", 4, "shard")
    assert bar.line(0.0) == "LoadDepth: 0 of 4 shards, 0 shards/s"
    assert bar.line(5.0) == "LoadDepth: 0 of 4 shards, 0 shards/s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (45.4, "45 s"), (89, "89 s"), (90, "2 min"), (720, "12 min"), (5340, "89 min"), (5400, "1 h 30 min"),
     (11_100, "3 h 05 min"), (90_000, "25 h 00 min")],
)  # fmt: skip
def test_a_duration_is_short_to_read(seconds, text):
    assert duration(seconds) == text


def test_tracking_gives_the_items_and_reports_each(clock, log_lines):
    reports = []
    found = []
    for item in track("abc", "Test", 3, "image", lambda *words: reports.append(words)):
        found.append(item)
        clock.now += 20
    assert found == ["a", "b", "c"]
    assert reports == [(1, 3, "image"), (2, 3, "image"), (3, 3, "image")]
    assert log_lines == ["Test: 2 of 3 images, 0.05 images/s, 20 s left"]
    assert list(track([1, 2], "Test", 2, "image")) == [1, 2]


def test_the_bar_is_closed_when_the_work_fails(monkeypatch, capsys):
    pretend_a_terminal(monkeypatch)

    def failing():
        yield 1
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(track(failing(), "Test", 2, "image"))
    assert capsys.readouterr().err.endswith("\n")
