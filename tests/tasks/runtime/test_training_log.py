"""Event files, read back by TensorBoard's own reader: every step once, whatever happened, and nothing else changes."""

import shutil

import numpy as np
import pytest
import torch
from support import contents
from torch import nn

from data.errors import SettingError
from tasks.runtime.schedules import one_cycle
from tasks.runtime.training_log import TensorBoardLog, TrainingLog
from tasks.runtime.training_loop import TrainingPlan, train

readers = pytest.importorskip(
    "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is not installed (extra tensorboard)"
)

PLAN = TrainingPlan(
    epochs=3, steps_per_epoch=4, optimizer="sgd", learning_rate=0.01, head_factor=10.0, weight_decay=1e-3,
    schedule=one_cycle, clip_norm=5.0, freeze_batch_norm=False, frozen_stride=0, average_decay=0.0, seed=0,
)  # fmt: skip


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout2d(0.2))
        self.backbone.feature_info = [{"module": "0", "reduction": 1}]
        self.head = nn.Conv2d(4, 1, 1)

    def pretrained_network(self):
        return self.backbone

    def forward(self, images):
        return self.head(self.backbone(images))


class Stop(Exception):
    pass


def run(folder, log, stop_before_step=None, plan=PLAN):
    """Train in a folder; the bytes of the model."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    network = Network()

    def batches(step):
        for number in range(step, plan.epochs * plan.steps_per_epoch):
            if number == stop_before_step:
                raise Stop
            yield {"image": torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(number))}

    def loss_of(batch, epoch):
        square = network(batch["image"]).square().mean()
        return {"loss": square, "half": square / 2}

    train(network, plan, batches, loss_of, folder, "Test", lambda *words: None, torch.device("cpu"), log=log)
    return (folder / "model.safetensors").read_bytes()


def log_in(folder):
    def pictures(network):
        assert not network.training
        return {"room/1": np.full((4, 6, 3), 80, np.uint8)}

    return TensorBoardLog(folder, pictures)


def read(folder):
    found = readers.EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    found.Reload()
    return found


def scalars(folder):
    """Name -> (step, value) of each event, in the order of the files."""
    found = read(folder)
    return {
        name: [(event.step, event.value) for event in found.Scalars(name)] for name in sorted(found.Tags()["scalars"])
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return run(folder / "model", log_in(folder / "events")), folder / "events"


def test_losses_rates_and_pictures_are_read_back(undisturbed, tmp_path):
    model, events = undisturbed
    found = scalars(events)
    assert list(found) == ["epoch/half", "epoch/learning_rate", "epoch/loss", "step/learning_rate", "step/loss"]
    assert [step for step, _ in found["step/loss"]] == list(range(1, 13))
    assert [step for step, _ in found["epoch/loss"]] == [4, 8, 12]
    rates = [value for _, value in found["step/learning_rate"]]
    assert rates == pytest.approx([PLAN.rate(step) for step in range(12)], rel=1e-6)
    losses = np.reshape([value for _, value in found["step/loss"]], (3, 4)).mean(1)
    assert [value for _, value in found["epoch/loss"]] == pytest.approx(losses, rel=1e-6)
    assert [value for _, value in found["epoch/half"]] == pytest.approx(losses / 2, rel=1e-6)
    pictures = read(events).Images("room/1")
    assert [(event.step, event.height, event.width) for event in pictures] == [(4, 4, 6), (8, 4, 6), (12, 4, 6)]
    assert run(tmp_path / "plain", TrainingLog()) == model  # the log changes nothing


@pytest.mark.parametrize("minutes", [0.0, 1e-9])
@pytest.mark.parametrize("stop", [2, 6, 8])
def test_a_training_that_goes_on_has_no_step_twice_and_none_is_missing(undisturbed, tmp_path, stop, minutes):
    """With checkpoints after each epoch only, steps that were reported before the end are done again."""
    model, events = undisturbed
    plan = TrainingPlan(**{**PLAN.__dict__, "checkpoint_minutes": minutes})
    with pytest.raises(Stop):
        run(tmp_path / "model", log_in(tmp_path / "events"), stop, plan)
    assert run(tmp_path / "model", log_in(tmp_path / "events"), plan=plan) == model
    assert scalars(tmp_path / "events") == scalars(events)
    assert len(read(tmp_path / "events").Images("room/1")) == 3


def test_a_training_that_begins_again_replaces_what_was_there(undisturbed, tmp_path):
    _, events = undisturbed
    for name in ("a", "b"):
        run(tmp_path / name, log_in(tmp_path / "events"))
    assert scalars(tmp_path / "events") == scalars(events)


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match="--tensorboard: .*file/events cannot be written"):
        log_in(tmp_path / "file" / "events").begin(0)


@pytest.mark.parametrize("stage", ["TrainClassifier", "TrainSegmenter"])
def test_stages_report_without_any_change_of_their_artifacts(finished, tmp_path, stage):
    before = contents(finished.artifacts)
    (folder,) = (finished.artifacts / "bop" / stage).iterdir()
    shutil.rmtree(folder)
    result = finished.luigi(stage, "--tensorboard", tmp_path / "curves", "--processes", 1)
    assert result.returncode == 0, result.stderr
    assert contents(finished.artifacts) == before
    found = read(tmp_path / "curves" / "bop" / stage / folder.name)
    tags = found.Tags()
    assert {"step/loss", "epoch/loss", "step/learning_rate"} <= set(tags["scalars"])
    assert len(tags["images"]) == 4
    assert [len(found.Images(name)) for name in tags["images"]] == [2] * 4  # epochs
    first = found.Images(tags["images"][0])[0]
    assert (first.height, first.width) == (144, 2 * 192)
