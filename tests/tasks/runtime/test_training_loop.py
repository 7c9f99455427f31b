import functools
import json
import logging
import math
import os
import random
import signal

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

from data.errors import TrainingError
from models.losses.whole_batch import share_of_mean
from tasks.runtime.checkpoint import resume, save_checkpoint
from tasks.runtime.schedules import one_cycle, poly
from tasks.runtime.trained_model import MODEL
from tasks.runtime.training_loop import (
    CHECKPOINT,
    TrainingPlan,
    choose_device,
    optimizer_of,
    parameter_groups,
    rank_seed,
    train,
)  # fmt: skip

PLAN = TrainingPlan(
    epochs=4, steps_per_epoch=3, optimizer="adamw", learning_rate=0.01, head_factor=10.0, weight_decay=1e-3,
    schedule=one_cycle, clip_norm=5.0, freeze_batch_norm=False, frozen_stride=0, average_decay=0.9, seed=0,
)  # fmt: skip


class Network(nn.Module):
    def __init__(self, dropout=0.2):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout2d(dropout))
        self.backbone.feature_info = [{"module": "1", "reduction": 2}]
        self.head = nn.Conv2d(4, 1, 1)

    def pretrained_network(self):
        return self.backbone

    def forward(self, images):
        return self.head(self.backbone(images))


class Stop(Exception):
    pass


def run(folder, plan=PLAN, stop_before_step=None, reports=None, after_step=None, dropout=0.2):
    torch.manual_seed(0)
    network = Network(dropout)
    if after_step:
        network.register_forward_pre_hook(lambda module, _: after_step(module))

    def batches(step):
        for number in range(step, plan.epochs * plan.steps_per_epoch):
            if number == stop_before_step:
                raise Stop
            generator = torch.Generator().manual_seed(number)
            yield {"image": torch.randn(2, 3, 8, 8, generator=generator)}

    def loss_of(batch, epoch):
        return {"loss": share_of_mean(network(batch["image"]).square().mean(), len(batch["image"]))}

    report = (reports if reports is not None else []).append
    train(
        network, plan, batches, loss_of, folder, "Test", lambda *words: report(words), torch.device("cpu"),
        image_ids=lambda epoch, number: [f"{epoch}/{number}"],
    )  # fmt: skip
    return (folder / MODEL).read_bytes(), (folder / "history.json").read_bytes()


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("stop", [1, 3])
def test_interrupted_training_ends_with_the_same_bytes(tmp_path, optimizer, stop):
    plan = TrainingPlan(**{**PLAN.__dict__, "optimizer": optimizer})
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    undisturbed = run(tmp_path / "a", plan)
    with pytest.raises(Stop):
        run(tmp_path / "b", plan, stop_before_step=3 * stop)
    assert (tmp_path / "b" / CHECKPOINT).exists()
    reports = []
    assert run(tmp_path / "b", plan, reports=reports) == undisturbed
    assert [done for done, _, _ in reports] == list(range(stop + 1, 5))
    assert not (tmp_path / "b" / CHECKPOINT).exists()


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_killed_after_any_step_it_ends_with_the_same_bytes(tmp_path, optimizer, frozen):
    """With batch norm that learns or not, dropout and a running mean of the weights."""
    changes = {"optimizer": optimizer, "freeze_batch_norm": frozen, "checkpoint_minutes": 1e-9}
    plan = TrainingPlan(**{**PLAN.__dict__, **changes})
    (tmp_path / "a").mkdir()
    undisturbed = run(tmp_path / "a", plan)
    for seed in range(3):
        rng, folder = random.Random(seed), tmp_path / str(seed)
        folder.mkdir()
        done = 0
        while done < 12:
            done = rng.randint(done + 1, done + 5)
            if done < 12:
                with pytest.raises(Stop):
                    run(folder, plan, stop_before_step=done)
                assert resumed_at(folder) == done
        assert run(folder, plan) == undisturbed


def resumed_at(folder):
    """Steps done, as the checkpoint has them."""
    network = Network()
    averaged = AveragedModel(network)
    optimizer = torch.optim.SGD(parameter_groups(network, PLAN), lr=1.0)
    modules = {"network": network, "averaged": averaged}
    position = resume(folder / CHECKPOINT, modules, optimizer)
    return len(position.history) * PLAN.steps_per_epoch + position.step


def test_without_minutes_a_checkpoint_is_written_after_each_epoch_only(tmp_path):
    with pytest.raises(Stop):
        run(tmp_path, stop_before_step=5)
    assert resumed_at(tmp_path) == 3


def test_sigterm_writes_a_checkpoint_after_the_step_and_then_ends(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    undisturbed = run(tmp_path / "a")
    before = signal.signal(signal.SIGTERM, ended)
    try:
        with pytest.raises(Ended):
            run(tmp_path / "b", after_step=signal_at(4, signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert resumed_at(tmp_path / "b") == 5  # the step that was under way is complete
    assert run(tmp_path / "b") == undisturbed


def test_sigusr1_writes_a_checkpoint_and_the_training_goes_on(tmp_path, monkeypatch):
    written = []

    def kept(path, modules, optimizer, position):
        written.append(len(position.history) * PLAN.steps_per_epoch + position.step)
        save_checkpoint(path, modules, optimizer, position)

    monkeypatch.setattr("tasks.runtime.training_loop.save_checkpoint", kept)
    taken = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: taken.append(number))
    try:
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
        undisturbed = run(tmp_path / "a")
        written.clear()
        assert run(tmp_path / "b", after_step=signal_at(4, signal.SIGUSR1)) == undisturbed
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert written == [3, 5, 6, 9, 12]
    assert taken == [signal.SIGUSR1]  # as without a training: luigi takes no more tasks


def test_a_sigterm_during_a_checkpoint_ends_the_training_after_the_next_step(tmp_path, monkeypatch):
    """It could wait for the end of an epoch, and SLURM would end the job before."""

    def interrupted(path, modules, optimizer, position):
        save_checkpoint(path, modules, optimizer, position)
        if position.step == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("tasks.runtime.training_loop.save_checkpoint", interrupted)
    before = [signal.signal(signal.SIGTERM, ended), signal.signal(signal.SIGUSR1, lambda number, frame: None)]
    try:
        with pytest.raises(Ended):
            run(tmp_path, after_step=signal_at(3, signal.SIGUSR1))
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGUSR1, before[1])
    assert resumed_at(tmp_path) == 5  # of epochs with 3 steps


class Ended(Exception):
    pass


def ended(number, frame):
    raise Ended


def signal_at(step, number):
    """A function that sends a signal before the given step, counted from 0."""
    seen = []

    def send(network):
        if len(seen) == step:
            os.kill(os.getpid(), number)
        seen.append(1)

    return send


def test_a_batch_in_parts_is_the_same_training(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    plan = TrainingPlan(**{**PLAN.__dict__, "freeze_batch_norm": True, "batch_images": 2})
    run(tmp_path / "a", plan, dropout=0.0)
    run(tmp_path / "b", TrainingPlan(**{**plan.__dict__, "accumulate": 2}), dropout=0.0)
    whole, parts = (load_file(tmp_path / name / MODEL) for name in ("a", "b"))
    for name, values in whole.items():
        torch.testing.assert_close(parts[name], values, rtol=1e-4, atol=1e-6)


def test_bf16_is_near_float32_and_keeps_float32_weights(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    run(tmp_path / "a")
    run(tmp_path / "b", TrainingPlan(**{**PLAN.__dict__, "precision": "bf16"}))
    one, other = (json.loads((tmp_path / name / "history.json").read_text()) for name in ("a", "b"))
    for epoch, same in zip(one, other, strict=True):
        assert epoch["loss"] != same["loss"]
        assert epoch["loss"] == pytest.approx(same["loss"], rel=0.1)
    assert all(value.dtype != torch.bfloat16 for value in load_file(tmp_path / "b" / MODEL).values())


def test_float32_is_no_tf32_on_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)  # torch's default
    choose_device("cpu")
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


def test_a_damaged_checkpoint_is_reported_and_training_starts_again(tmp_path, caplog):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with pytest.raises(Stop):
        run(tmp_path / "b", stop_before_step=6)
    path = tmp_path / "b" / CHECKPOINT
    path.write_bytes(path.read_bytes()[:1000])
    logging.getLogger("depthseed").propagate = True
    try:
        assert run(tmp_path / "b") == run(tmp_path / "a")
    finally:
        logging.getLogger("depthseed").propagate = False
    assert "checkpoint is damaged" in caplog.text


def test_a_loss_that_is_not_finite_stops_at_its_step_and_leaves_no_model(tmp_path):
    plan = TrainingPlan(**{**PLAN.__dict__, "learning_rate": 1e30, "clip_norm": 0.0})
    with pytest.raises(TrainingError, match=r"Test: the loss is (nan|inf) at step 2, images 0/1; lower --Test-lear"):
        run(tmp_path, plan)
    assert not (tmp_path / MODEL).exists()


def test_weights_that_are_not_finite_are_no_result_even_if_every_loss_was(tmp_path):
    plan = TrainingPlan(**{**PLAN.__dict__, "learning_rate": float("inf"), "epochs": 1, "steps_per_epoch": 1})
    with pytest.raises(TrainingError, match="Test: a weight is not finite after epoch 1"):
        run(tmp_path, TrainingPlan(**{**plan.__dict__, "schedule": lambda *_: float("inf")}))
    assert not (tmp_path / MODEL).exists()


def test_the_result_is_the_running_mean_of_the_weights(tmp_path):
    weights = []  # before each step, so that of the last step is missing: the learning rate of the last is not 0
    last = {}

    def keep(network):
        weights.append(network.head.weight.detach().double().clone())
        last["network"] = network

    run(tmp_path, after_step=keep)
    weights.append(last["network"].head.weight.detach().double())
    mean = weights[1]
    for after in weights[2:]:
        mean = 0.9 * mean + 0.1 * after
    written = load_file(tmp_path / MODEL)["head.weight"].double()
    torch.testing.assert_close(written, mean, rtol=1e-5, atol=1e-7)
    assert not torch.allclose(written, weights[-1], rtol=1e-3)


def test_without_averaging_the_result_is_the_last_weights(tmp_path):
    last = {}
    run(
        tmp_path,
        TrainingPlan(**{**PLAN.__dict__, "average_decay": 0.0}),
        after_step=lambda network: last.update(n=network),
    )
    assert torch.equal(load_file(tmp_path / MODEL)["head.weight"], last["n"].head.weight)


def test_another_seed_gives_another_model(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    assert run(tmp_path / "a") != run(tmp_path / "b", TrainingPlan(**{**PLAN.__dict__, "seed": 1}))


def test_sgd_has_the_momentum_of_the_paper():
    """S. Kim, SNU 2022, sections 2.4.1 and 3.4.1: momentum 0.9, weight decay 0.0005."""
    plan = TrainingPlan(**{**PLAN.__dict__, "optimizer": "sgd", "weight_decay": 5e-4})
    optimizer = optimizer_of(Network(), plan, torch.device("cpu"))
    assert isinstance(optimizer, torch.optim.SGD)
    for group in optimizer.param_groups:
        assert (group["momentum"], group["nesterov"], group["weight_decay"]) == (0.9, False, 5e-4)


def test_the_poly_rate_is_the_papers():
    """S. Kim, SNU 2022, section 3.4.1: 1e-3 (1 - iter / maxiter)^0.9, and before it up from 1e-6."""
    schedule = functools.partial(poly, warmup_epochs=1.0)
    plan = TrainingPlan(**{**PLAN.__dict__, "schedule": schedule, "learning_rate": 1e-3, "epochs": 15})
    total = 15 * 3
    assert plan.rate(0) == pytest.approx(1e-6)
    assert plan.rate(1) == pytest.approx(1e-6 + (1e-3 - 1e-6) / 3)
    for step in range(3, total):
        assert plan.rate(step) == pytest.approx(1e-3 * (1 - step / total) ** 0.9)


def test_one_cycle_rises_and_falls():
    rates = [PLAN.rate(step) for step in range(12)]
    peak = rates.index(max(rates))
    assert rates[0] == pytest.approx(0.01 / 25)
    assert rates[peak] == pytest.approx(0.01, rel=0.05)
    assert rates == sorted(rates[: peak + 1]) + sorted(rates[peak + 1 :], reverse=True)
    assert all(math.isfinite(rate) and rate > 0 for rate in rates)


def test_frozen_batch_norm_stays_as_it_was(tmp_path):
    from safetensors.torch import load_file

    run(tmp_path, TrainingPlan(**{**PLAN.__dict__, "freeze_batch_norm": True}))
    state = load_file(tmp_path / MODEL)
    assert not state["backbone.1.running_mean"].any()
    assert (state["backbone.1.weight"] == 1).all()
    assert state["head.weight"].any()


def test_frozen_layers_stay_over_all_epochs(tmp_path):
    run(tmp_path, TrainingPlan(**{**PLAN.__dict__, "frozen_stride": 2}))
    trained, fresh = load_file(tmp_path / MODEL), first_network().state_dict()
    assert torch.equal(trained["backbone.0.weight"], fresh["backbone.0.weight"])
    assert torch.equal(trained["backbone.1.running_mean"], fresh["backbone.1.running_mean"])
    assert not torch.equal(trained["head.weight"], fresh["head.weight"])


def first_network():
    torch.manual_seed(0)
    return Network()


def test_no_two_ranks_draw_the_same():
    draws = set()
    for rank in range(4):
        torch.manual_seed(rank_seed(500_017, rank))
        draws.add(tuple(torch.rand(3).tolist()))
    assert len(draws) == 4
    assert rank_seed(500_017, 0) == 500_017  # as without ranks
