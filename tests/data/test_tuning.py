from pathlib import Path

import pytest

from data.errors import DatasetError
from data.readers import DATASETS
from data.sample import EVALUATION, TRAIN, DatasetIndex, Sample
from data.tuning import held_out, sequence_of, with_tuning_split

FRAMES = [f"train_pbr/{scene:06d}/{frame:06d}" for scene in range(40) for frame in range(3)]


def index(ids, tmp_path=Path("set")):
    samples = [Sample(name, TRAIN, tmp_path / f"{name}.jpg", (1,), size=(4, 6)) for name in ids]
    samples.append(Sample("test/1", EVALUATION, tmp_path / "t.jpg", ()))
    return DatasetIndex(tmp_path, ("background", "mug"), tuple(samples))


def test_sequences_stay_whole_and_the_evaluation_images_are_left_out():
    found = with_tuning_split(index(FRAMES), 0.25, "(.*)/")
    parts = {split: {name.rpartition("/")[0] for name in found.split(split).ids} for split in (TRAIN, EVALUATION)}
    assert not parts[TRAIN] & parts[EVALUATION]
    assert len(parts[TRAIN] | parts[EVALUATION]) == 40
    assert 4 <= len(parts[EVALUATION]) <= 16
    assert sorted([*found.split(TRAIN).ids, *found.split(EVALUATION).ids]) == FRAMES
    assert found.split(EVALUATION)[0].tags == (1,)


def test_the_split_follows_names_alone():
    """It is the same in another order, and images that are added move no other."""
    before = set(with_tuning_split(index(FRAMES), 0.25, "(.*)/").split(EVALUATION).ids)
    assert set(with_tuning_split(index(FRAMES[::-1]), 0.25, "(.*)/").split(EVALUATION).ids) == before
    more = with_tuning_split(index([*FRAMES, "train_pbr/000099/000000"]), 0.25, "(.*)/").split(EVALUATION).ids
    assert set(more) - {"train_pbr/000099/000000"} == before
    assert held_out(["a", "b", "c"], 0.0001) == held_out(["c", "b", "a"], 0.0001)
    assert len(held_out(["a", "b", "c"], 0.0001)) == 1


def test_a_set_that_cannot_be_divided_is_named():
    with pytest.raises(DatasetError, match="has no two training sequences"):
        with_tuning_split(index(["a/0", "a/1"]), 0.5, "(.*)/")
    with pytest.raises(DatasetError, match="no training sequence would be left; lower"):
        with_tuning_split(index(["a/0", "b/1"]), 0.9999999, "(.*)/")


@pytest.mark.parametrize(
    ("dataset", "image_id", "sequence"),
    [
        ("hope", "onboarding_static/obj_000001_up/000004", "onboarding_static/obj_000001_up"),
        ("camvid", "train/0001TP_006690", "train/0001TP"),
        ("cityscapes", "train/aachen/aachen_000000_000019", "train/aachen"),
        ("voc", "train/2007_000032", "train/2007_000032"),
        ("coco", "train/COCO_train2014_000000000009", "train/COCO_train2014_000000000009"),
    ],
)
def test_the_data_sets_know_their_sequences(dataset, image_id, sequence):
    assert sequence_of(image_id, DATASETS[dataset].sequence) == sequence
