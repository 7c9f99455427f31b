"""What all training stages share, by the one that needs the least."""

import json
import threading

import numpy as np
import pytest
import torch

from data.errors import SettingError
from data.sample import TRAIN
from data.store.artifact import write_bytes
from tasks.index_dataset import IndexDataset
from tasks.runtime.device_use import DeviceUse
from tasks.runtime.networks import CLASSIFIER
from tasks.runtime.rank_launch import exchange_of
from tasks.runtime.trained_model import DESCRIPTION, HISTORY, MODEL, TrainedArtifact
from tasks.train_classifier import TrainClassifier
from tasks.train_segmenter import TrainSegmenter


@pytest.fixture
def common(in_process, bop_root, tmp_path):
    found = {
        "dataset": "bop", "data_root": str(bop_root), "artifacts": str(tmp_path / "artifacts"), "device": "cpu",
        "settings": {"TrainClassifier": {"deal_weight": 0.0}},
    }  # fmt: skip
    IndexDataset(**found).run()
    return found


def test_what_it_writes_is_loaded_without_the_stage(common):
    stage = TrainClassifier(**common, crop_size=64)
    stage.run()
    assert stage.complete()
    assert stage.record()["images"] == 2 * 10  # epochs and images
    dataset = stage.inputs["dataset"]
    model = TrainedArtifact(stage.artifact.path).load(torch.device("cpu"))
    assert model.class_names == tuple(dataset.class_names)
    assert model.size == (64, 64)
    again = stage.load(torch.device("cpu"))
    assert all(
        torch.equal(values, again.network.state_dict()[name]) for name, values in model.network.state_dict().items()
    )
    assert json.loads((stage.artifact.path / DESCRIPTION).read_text())["network"] == CLASSIFIER
    history = json.loads((stage.artifact.path / HISTORY).read_text())
    assert [set(epoch) for epoch in history] == [{"classification", "loss"}] * 2
    assert all(np.isfinite(epoch["loss"]) for epoch in history)


@pytest.mark.parametrize(("crop_size", "crop"), [(0, (144, 192)), (48, (48, 48))])
def test_images_are_cut_to_a_square_or_to_the_largest(common, crop_size, crop):
    stage = TrainClassifier(**common, crop_size=crop_size, scale_min=0.5, scale_max=1.5, jitter=0.1, hue=0.2)
    images = stage.training_images({})
    assert len(images) == len(stage.inputs["dataset"].split(TRAIN))
    assert images[0, 3]["image"].shape == (3, *crop)
    augmentation = images.augmentation
    assert (augmentation.scale_min, augmentation.scale_max) == (0.5, 1.5)
    assert (augmentation.jitter, augmentation.hue, augmentation.flip) == (0.1, 0.2, True)


def test_images_may_be_resized_to_a_length_first(common):
    stage = TrainClassifier(**common, crop_size=48, resize_side="long", resize_to=(96.0,), scale_steps=2)
    augmentation = stage.training_images({}).augmentation
    assert (augmentation.resize_side, augmentation.resize_to, augmentation.scale_steps) == ("long", (96.0,), 2)
    assert TrainClassifier(**common).training_images({}).augmentation.resize_side == "none"
    assert "resize_to" not in TrainClassifier(**common).parameters()
    with pytest.raises(SettingError, match="--TrainClassifier-resize-to has 2 lengths; give one, or a minimum"):
        TrainClassifier(**common, resize_side="short", resize_to=(96.0, 64.0))


def test_small_images_are_enlarged_in_fewer_steps_that_show_as_many_pixels(common):
    plain, large = (TrainSegmenter(**{**common, "least_steps": 24}, least_side=side) for side in (0, 384))
    assert (plain.batch_order().steps, large.batch_order().steps) == (12, 3)  # of two epochs; 2 x 2 pixels for each
    images = large.training_images({})
    assert images.augmentation.crop == (288, 384)
    assert images[0, 3]["image"].shape == (3, 288, 384)
    assert TrainSegmenter(**{**common, "least_steps": 24}, least_side=384, crop_size=48).batch_order().steps == 12
    sized = TrainSegmenter(**common, least_side=384, resize_side="long")
    assert sized.training_images({}).augmentation.least_side == 0
    assert TrainSegmenter(**common, least_side=160).training_images({}).augmentation.crop == (144, 192)


def test_images_enlarged_beyond_the_largest_crop_give_a_training_a_new_identity(common):
    """Only there, images were once cut to the crop instead of scaled down to it."""
    beyond = [TrainSegmenter(**common, least_side=side).content_identity() for side in (320, 1024, 1025)]
    assert beyond == [{}, {}, {"enlarged images": "2"}]
    assert TrainSegmenter(**common, least_side=1025, crop_size=48).content_identity() == {}
    assert TrainSegmenter(**common, least_side=1025, resize_side="long").content_identity() == {}


def test_training_begins_with_the_weights_that_are_named(common, tmp_path):
    from safetensors.torch import save_file

    stage = TrainClassifier(**common)
    state = {name: torch.full_like(value, 0.5) for name, value in stage.new_network().backbone.state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    named = TrainClassifier(**common, weights=str(tmp_path / "w.safetensors"))
    assert named.identity != stage.identity
    network = named.new_network()
    assert all(torch.equal(value, state[name]) for name, value in network.backbone.state_dict().items())


def test_parts_of_a_batch_enter_the_identity_and_where_it_runs_does_not(common):
    stage = TrainClassifier(**common)
    assert "accumulate" not in stage.parameters()  # so older artifacts are still those of this stage
    assert TrainClassifier(**common, accumulate=1).identity == stage.identity
    assert TrainClassifier(**common, accumulate=2).identity != stage.identity
    assert TrainClassifier(**common, ranks=2, loader_processes=3, checkpoint_minutes=1.0).identity == stage.identity
    assert TrainClassifier(**{**common, "precision": "bf16"}).identity != stage.identity
    assert TrainClassifier(**{**common, "precision": "32"}).identity == stage.identity


def test_ranks_are_the_gpus_or_as_many_as_are_asked_for(common, monkeypatch):
    assert TrainClassifier(**common).rank_count() == 1
    assert TrainClassifier(**common, ranks=3).rank_count() == 3
    monkeypatch.setattr("tasks.runtime.training_stage.visible_gpus", lambda device: ("0", "1", "2", "3", "4", "5"))
    assert TrainClassifier(**common, batch_size=8).rank_count() == 6
    assert TrainClassifier(**common, batch_size=4).rank_count() == 4
    assert TrainClassifier(**common, batch_size=8, ranks=1).rank_count() == 1
    with pytest.raises(SettingError, match="9 ranks share a batch of 8 images; set --TrainClassifier-ranks to 8"):
        TrainClassifier(**common, batch_size=8, ranks=9).rank_count()


def test_so_many_ranks_that_parts_of_a_batch_would_be_others_are_refused(common, monkeypatch):
    monkeypatch.setattr("tasks.runtime.training_stage.visible_gpus", lambda device: ("0", "1", "2", "3", "4", "5"))
    assert TrainClassifier(**common, batch_size=8, accumulate=4).rank_count() == 2
    assert TrainClassifier(**common, batch_size=8, accumulate=100).rank_count() == 1
    assert TrainClassifier(**common, batch_size=8, accumulate=2, ranks=4).rank_count() == 4
    line = "3 ranks share a batch of 8 images in 4 parts; set --TrainClassifier-ranks to 2 or less, lower"
    with pytest.raises(SettingError, match=line):
        TrainClassifier(**common, batch_size=8, accumulate=4, ranks=3).rank_count()


def test_a_stage_tells_how_long_its_device_waited(common):
    stage = TrainClassifier(**common, crop_size=64)
    stage.run()
    use = stage.device_use
    assert use.device == "cpu"
    assert 0 < use.waited < use.seconds


def test_it_waits_for_a_job_that_still_trains_and_takes_its_result(common, monkeypatch):
    """The command that had submitted the job was killed: two trainings would write one checkpoint."""
    monkeypatch.setattr("tasks.runtime.lock.SECONDS_PER_LINE", 0.1)
    stage = TrainClassifier(**common, crop_size=64)
    exchange, has_begun, may_end = exchange_of(stage), threading.Event(), threading.Event()

    def train():
        with stage.being_trained():
            has_begun.set()
            may_end.wait(60)
            for name in (MODEL, HISTORY, DESCRIPTION):
                write_bytes(stage.artifact.path / name, b"{}")
            exchange.folder.mkdir(parents=True)
            exchange.write_result(40, DeviceUse("cpu", 1.0, 2.0))

    job = threading.Thread(target=train)
    job.start()
    has_begun.wait(60)
    threading.Timer(0.5, may_end.set).start()
    monkeypatch.setattr(TrainClassifier, "learn", None)  # it would train
    assert stage.work() == 40
    job.join()
    assert not exchange.folder.exists()
    assert stage.device_use == DeviceUse("cpu", 1.0, 2.0)
