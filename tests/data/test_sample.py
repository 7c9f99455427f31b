import dataclasses
import io
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from data.errors import DatasetError
from data.files.fingerprint import hash_file
from data.readers.bop import read_bop
from data.sample import EVALUATION, LARGEST_CLASS, TRAIN, DatasetIndex, LabelLayer, Sample, Samples

SPLITS = {TRAIN: "train_pbr", EVALUATION: "test"}


@pytest.fixture
def index(bop_root):
    index = read_bop(bop_root, SPLITS)
    samples = tuple(dataclasses.replace(sample, size=(144, 192)) for sample in index.samples)
    return dataclasses.replace(index, samples=samples)


def read(root, index):
    """What is read in `root` after `index` was written."""
    return DatasetIndex.from_lines(root, io.BytesIO("".join(index.lines()).encode()))


def test_json_and_back_without_the_ground_truth(index):
    again = read(index.root, index)
    assert again.samples == tuple(dataclasses.replace(sample, truth=()) for sample in index.samples)
    assert "mask" not in "".join(index.lines())


def test_moving_a_set_changes_nothing_but_the_place(index, tmp_path):
    elsewhere = index.root.rename(tmp_path / "moved")
    moved = read_bop(elsewhere, SPLITS)
    again = read(elsewhere, index)
    assert again.samples[0].image == moved.samples[0].image
    assert moved.fingerprint(hash_file) == again.fingerprint(hash_file)


def test_masks_do_not_enter_the_fingerprint_of_what_is_learnt_from(index):
    before, truth_before = index.fingerprint(hash_file), index.fingerprint(hash_file, truth=True)
    index.samples[0].truth[0].path.write_bytes(b"another mask")
    assert index.fingerprint(hash_file) == before
    assert index.fingerprint(hash_file, truth=True) != truth_before


def test_encodings_that_decode_otherwise_than_before_have_another_hash(index, monkeypatch):
    def hashes(encoding, **layers):
        layer = LabelLayer(index.samples[0].image, None, encoding, "7")
        samples = (dataclasses.replace(index.samples[0], **dict.fromkeys(layers, (layer,))), *index.samples[1:])
        changed = dataclasses.replace(index, samples=samples)
        return changed.fingerprint(hash_file), changed.fingerprint(hash_file, truth=True)

    encodings = ("coco", "coco_polygons", "labelme", "")
    places = [(name, place) for name in encodings for place in ("truth", "coarse")]
    now = {(name, place): hashes(name, **{place: True}) for name, place in places}
    monkeypatch.setattr("data.sample.REVISIONS", {})
    for (name, place), (learnt, truth) in now.items():
        learnt_before, truth_before = hashes(name, **{place: True})
        assert (learnt != learnt_before) == (place == "coarse" and name.startswith("coco"))
        assert (truth != truth_before) == (place == "truth" and name.startswith("coco"))


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
        assert read(index.root, alone).split(split) == tuple(
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
        dataclasses.replace(index, samples=(index.samples[0], index.samples[0]))
    with pytest.raises(DatasetError, match="two classes are called 'background'"):
        dataclasses.replace(index, class_names=("background", *index.class_names))


def test_samples_in_columns_are_those_that_were_given(index):
    objects = list(index.samples)
    again = Samples.of(index.root, iter(objects))
    assert list(again) == objects == [index.samples[place] for place in range(len(objects))]
    assert list(again[2:5]) == objects[2:5]
    assert again.sizes.tolist() == [[144, 192]] * len(objects)
    assert set(again.tag_sets) == {sample.tags for sample in objects}
    assert pickle.loads(pickle.dumps(again)) == objects
    assert again != objects[1:]


def test_paths_outside_the_folder_and_a_relative_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for root, below in ((Path("set"), Path("set/a.jpg")), (Path(), Path("a.jpg")), (tmp_path, tmp_path / "a.jpg")):
        outside = tmp_path.parent / "masks" / "a.png"
        sample = Sample("a", TRAIN, below, (), truth=(LabelLayer(outside, 3, "voc", "x"),))
        (found,) = Samples.of(root, [sample])
        assert found == sample
    (moved,) = Samples.of(Path("set"), [Sample("a", TRAIN, Path("other/a.jpg"), ())])
    assert moved.image == tmp_path / "other" / "a.jpg"


def test_samples_are_sorted_train_first(index):
    mixed = Samples.of(index.root, reversed(list(index.samples)))
    assert mixed != index.samples
    assert mixed.ordered() == index.samples


def test_the_split_of_sorted_samples_is_a_view(index):
    part = index.split(EVALUATION)
    assert {sample.split for sample in part} == {EVALUATION}
    assert part.table.values["size"].base is not None
    scattered = Samples.of(index.root, sorted(index.samples, key=lambda sample: sample.image_id[::-1]))
    assert scattered.of_split(EVALUATION).ordered() == part


def test_a_line_of_the_index_holds_one_image(index):
    lines = "".join(index.lines()).splitlines()
    assert len(lines) == len(index.samples) + 2
    assert json.loads("".join(lines))["class_names"] == list(index.class_names)
