import functools
import logging
import math

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from data.errors import TrainingError
from tasks.runtime.schedules import one_cycle, poly
from tasks.runtime.trained_model import MODEL
from tasks.runtime.training_loop import CHECKPOINT, TrainingPlan, train

PLAN = TrainingPlan(
    epochs=4, steps_per_epoch=3, optimizer="adamw", learning_rate=0.01, head_factor=10.0, weight_decay=1e-3,
    schedule=one_cycle, clip_norm=5.0, freeze_batch_norm=False, frozen_stride=0, average_decay=0.9, seed=0,
)  # fmt: skip


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout2d(0.2))
        self.backbone.feature_info = [{"module": "1", "reduction": 2}]
        self.head = nn.Conv2d(4, 1, 1)

    def pretrained_network(self):
        return self.backbone

    def forward(self, images):
        return self.head(self.backbone(images))


class Stop(Exception):
    pass


def run(folder, plan=PLAN, stop_before_epoch=None, reports=None, after_step=None):
    torch.manual_seed(0)
    network = Network()
    if after_step:
        network.register_forward_pre_hook(lambda module, _: after_step(module))

    def batches(epoch):
        if epoch == stop_before_epoch:
            raise Stop
        generator = torch.Generator().manual_seed(epoch)
        return [{"image": torch.randn(2, 3, 8, 8, generator=generator)} for _ in range(plan.steps_per_epoch)]

    def loss_of(batch, epoch):
        return {"loss": network(batch["image"]).square().mean()}

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
        run(tmp_path / "b", plan, stop_before_epoch=stop)
    assert (tmp_path / "b" / CHECKPOINT).exists()
    reports = []
    assert run(tmp_path / "b", plan, reports=reports) == undisturbed
    assert [done for done, _, _ in reports] == list(range(stop + 1, 5))
    assert not (tmp_path / "b" / CHECKPOINT).exists()


def test_a_damaged_checkpoint_is_reported_and_training_starts_again(tmp_path, caplog):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with pytest.raises(Stop):
        run(tmp_path / "b", stop_before_epoch=2)
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


def test_the_poly_rate_is_the_papers():
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
