"""The rates against the formulas in plain Python."""

import math

import pytest

from tasks.runtime.schedules import SCHEDULES, one_cycle, poly
from tasks.train_classifier import TrainClassifier

TOTAL, PEAK, PER_EPOCH = 100, 0.01, 20


def test_poly_is_the_papers():
    """S. Kim, SNU 2022, section 2.4.1: power 0.9, without a warm-up."""
    for step in range(TOTAL):
        assert poly(step, TOTAL, PEAK, PER_EPOCH, warmup_epochs=0.0) == PEAK * (1 - step / TOTAL) ** 0.9


def test_poly_warms_up_on_a_line():
    """One and a half epochs of 20 steps: from 1e-6 at step 0 on a line that would meet the peak at step 30."""
    rates = [poly(step, TOTAL, PEAK, PER_EPOCH, warmup_epochs=1.5) for step in range(TOTAL)]
    assert rates[0] == 1e-6
    assert rates[15] == pytest.approx((1e-6 + PEAK) / 2)
    assert rates[29] == pytest.approx(1e-6 + (PEAK - 1e-6) * 29 / 30)
    assert rates[30] == PEAK * (1 - 30 / TOTAL) ** 0.9


def test_one_cycle_by_hand():
    """Up along half a cosine from 0.0004 to 0.01 in 30 steps, and down to 0 in 70."""
    expected = {0: 0.0004, 15: (0.0004 + 0.01) / 2, 30: 0.01, 65: 0.005, 100: 0.0}
    for step, rate in expected.items():
        assert one_cycle(step, TOTAL, PEAK, PER_EPOCH) == pytest.approx(rate, abs=1e-12)
    for step in range(30):
        rise = (1 - math.cos(math.pi * step / 30)) / 2
        assert one_cycle(step, TOTAL, PEAK, PER_EPOCH) == pytest.approx(0.0004 + (0.01 - 0.0004) * rise)


@pytest.mark.parametrize("total", [1, 2, 3])
def test_the_shortest_trainings_have_rates(total):
    for step in range(total):
        for rate in (one_cycle(step, total, PEAK, 1), poly(step, total, PEAK, 1, 0.5)):
            assert 0 < rate <= PEAK


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_takes_step_total_peak_and_its_parameters(name):
    choice = SCHEDULES[name]
    settings = choice.settings(TrainClassifier(schedule=name))
    rates = [choice.function(step, TOTAL, PEAK, PER_EPOCH, **settings) for step in range(TOTAL)]
    assert all(0 < rate <= PEAK for rate in rates)
    assert rates == [choice.function(step, TOTAL, PEAK, PER_EPOCH, **settings) for step in range(TOTAL)]
    doubled = [choice.function(step, TOTAL, 2 * PEAK, PER_EPOCH, **settings) for step in range(TOTAL)]
    assert max(doubled) == pytest.approx(2 * max(rates), rel=1e-3)
