import dataclasses
import json

import numpy as np
import pytest

from data.errors import DatasetError
from data.files.fingerprint import hash_file
from data.readers.bop import read_bop
from data.sample import EVALUATION, LARGEST_CLASS, TRAIN, DatasetIndex

SPLITS = {TRAIN: "train_pbr", EVALUATION: "test"}


@pytest.fixture
def index(bop_root):
    index = read_bop(bop_root, SPLITS)
    samples = tuple(dataclasses.replace(sample, size=(144, 192)) for sample in index.samples)
    return dataclasses.replace(index, samples=samples)


def test_json_and_back_without_the_ground_truth(index):
    again = DatasetIndex.from_json(index.root, index.to_json())
    assert again.samples == tuple(dataclasses.replace(sample, truth=()) for sample in index.samples)
    assert "mask" not in json.dumps(index.to_json())


def test_moving_a_set_changes_nothing_but_the_place(index, tmp_path):
    elsewhere = index.root.rename(tmp_path / "moved")
    moved = read_bop(elsewhere, SPLITS)
    again = DatasetIndex.from_json(elsewhere, index.to_json())
    assert again.samples[0].image == moved.samples[0].image
    assert moved.fingerprint(hash_file) == again.fingerprint(hash_file)


def test_masks_do_not_enter_the_fingerprint_of_what_is_learnt_from(index):
    before, truth_before = index.fingerprint(hash_file), index.fingerprint(hash_file, truth=True)
    index.samples[0].truth[0].path.write_bytes(b"another mask")
    assert index.fingerprint(hash_file) == before
    assert index.fingerprint(hash_file, truth=True) != truth_before


def test_images_depth_and_tags_do(index):
    before = index.fingerprint(hash_file)
    other = dataclasses.replace(index.samples[0], tags=(1, 2, 3, 4, 5))
    assert dataclasses.replace(index, samples=(other, *index.samples[1:])).fingerprint(hash_file) != before
    index.samples[0].depth.write_bytes(b"another depth")
    changed = index.fingerprint(hash_file)
    assert changed != before
    index.samples[0].image.write_bytes(b"another image")
    assert index.fingerprint(hash_file) not in (before, changed)


def test_more_classes_than_can_be_stored_are_refused(index):
    names = [str(number) for number in range(LARGEST_CLASS + 1)]
    assert np.iinfo(np.int16).max - 1 == LARGEST_CLASS
    assert dataclasses.replace(index, class_names=tuple(names)).num_classes == LARGEST_CLASS
    with pytest.raises(DatasetError, match="has 32767 classes besides class 0, but at most 32766 are possible; merge"):
        dataclasses.replace(index, class_names=(*names, "one more"))


def test_training_needs_images_with_labels(index):
    index.require_training()
    blank = tuple(dataclasses.replace(sample, tags=()) for sample in index.samples)
    with pytest.raises(DatasetError, match="no training image has a tag"):
        dataclasses.replace(index, samples=blank).require_training()
    with pytest.raises(DatasetError, match="train split is empty"):
        dataclasses.replace(index, samples=index.split(EVALUATION)).require_training()


def test_one_split_alone_is_a_data_set(index):
    for split in (TRAIN, EVALUATION):
        alone = dataclasses.replace(index, samples=index.split(split))
        assert DatasetIndex.from_json(index.root, alone.to_json()).split(split) == tuple(
            dataclasses.replace(sample, truth=()) for sample in alone.samples
        )


@pytest.mark.parametrize("name", ["", "/etc/x", "../x", "a/../../x", "a/..", "a\nb", "a\0", "\x1b[31m", "\udc80"])
def test_a_name_that_would_write_elsewhere_or_cannot_be_shown_is_refused(index, name):
    """An index may come in an artifact of somebody else."""
    bad = dataclasses.replace(index.samples[0], image_id=name)
    with pytest.raises(DatasetError, match="is no name for an image") as caught:
        dataclasses.replace(index, samples=(bad, *index.samples[1:]))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["a b", "ä/日本.x", "..a/b..", "-x", "a...b"])
def test_unusual_names_are_names(index, name):
    good = dataclasses.replace(index.samples[0], image_id=name)
    dataclasses.replace(index, samples=(good, *index.samples[1:]))


def test_a_set_without_images_or_with_a_name_twice_is_refused(index):
    with pytest.raises(DatasetError, match="has no images; put images there or choose another --data-root"):
        dataclasses.replace(index, samples=())
    with pytest.raises(DatasetError, match="two images are called train_pbr/000001/000000"):
        dataclasses.replace(index, samples=index.samples[:1] * 2)
    with pytest.raises(DatasetError, match="two classes are called 'background'"):
        dataclasses.replace(index, class_names=("background", *index.class_names))
