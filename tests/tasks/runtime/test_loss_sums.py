import math

import pytest
import torch

from tasks.runtime.loss_sums import LossSums, added

CPU = torch.device("cpu")


def filled(values, start=None):
    sums = LossSums(CPU, start)
    for step, value in enumerate(values):
        sums.add({"part": torch.tensor(value / 2), "loss": torch.tensor(value)}, step)
    return sums


def test_sums_are_those_of_python_to_the_last_bit():
    values = torch.rand(100, generator=torch.Generator().manual_seed(0)).tolist()
    expected = 0.0
    for value in values:
        expected += float(torch.tensor(value))
    sums = filled(values)
    assert sums.sums()["loss"] == expected
    assert sums.last_loss() == pytest.approx(values[-1])
    assert sums.first_wrong() is None


def test_they_go_on_where_an_earlier_run_stopped():
    values = torch.rand(10, generator=torch.Generator().manual_seed(0)).tolist()
    assert filled(values[4:], filled(values[:4]).sums()).sums() == filled(values).sums()


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_the_first_loss_that_is_not_finite_is_kept(wrong):
    step, loss = filled([1.0, 2.0, wrong, 3.0, math.nan]).first_wrong()
    assert step == 2
    assert loss == wrong or math.isnan(wrong)


def test_without_a_step_there_are_no_sums():
    assert LossSums(CPU).sums() == {}


def test_the_sums_of_ranks_are_added():
    assert added([{"loss": 0.1 + 0.2}]) == {"loss": 0.1 + 0.2}
    assert added([{"loss": 1.0, "part": 2.0}, {"loss": 0.5, "part": 0.25}]) == {"loss": 1.5, "part": 2.25}
