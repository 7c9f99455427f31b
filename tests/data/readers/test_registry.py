"""What holds for every registered data set; a new entry is tested without an edit here."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from reader_contract import check_wrong_root, read

from data.errors import DatasetError
from data.readers import DATASETS, NO_SPLIT
from data.readers.downloads import DOWNLOADS
from data.readers.label_maps import tags_of
from data.sample import EVALUATION, TRAIN

RENDERED = [name for name, spec in DATASETS.items() if spec.render]


@pytest.mark.parametrize("name", DATASETS)
def test_the_spec_is_well_formed(name):
    spec = DATASETS[name]
    assert not Path(spec.folder).is_absolute()
    assert ".." not in Path(spec.folder).parts
    assert set(spec.splits) in (set(), {TRAIN, EVALUATION})
    assert all(folder and isinstance(folder, str) for folder in spec.splits.values())
    inspect.signature(spec.read).bind(Path(), spec.splits, *([tags_of] if spec.tags_from_masks else []))
    if spec.render:
        inspect.signature(spec.render).bind(Path())


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("exists", [False, True], ids=["missing", "empty"])
def test_a_wrong_root_is_one_line_with_the_flag(name, exists, tmp_path):
    if exists:
        (tmp_path / "nowhere" / DATASETS[name].folder).mkdir(parents=True)
    check_wrong_root(name, tmp_path)


@pytest.mark.parametrize("name", RENDERED)
def test_a_rendered_set_is_read_in_order(name, rendered):
    """The tiny set of the fixture stands for the full one, which takes longer to render."""
    index = read(name, rendered)
    assert index.split(TRAIN)
    assert index.split(EVALUATION)
    assert list(index.samples) == sorted(index.samples, key=lambda sample: (sample.split != TRAIN, sample.image_id))


def test_only_registered_data_sets_are_downloaded():
    assert DOWNLOADS.keys() <= DATASETS.keys()


def test_the_registry_imports_neither_torch_nor_luigi_nor_scipy_ndimage():
    code = "import sys, data.readers; sys.exit(bool({'torch', 'luigi', 'scipy.ndimage'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_folders_of_the_splits_may_be_named_or_left_out():
    spec = DATASETS["bop"]
    assert spec.chosen({TRAIN: "", EVALUATION: ""}) == spec.splits
    assert spec.chosen({TRAIN: "train_real", EVALUATION: ""}) == {**spec.splits, TRAIN: "train_real"}
    assert spec.chosen({TRAIN: "", EVALUATION: NO_SPLIT}) == {TRAIN: spec.splits[TRAIN]}
    assert spec.chosen({TRAIN: NO_SPLIT, EVALUATION: "val"}) == {EVALUATION: "val"}
    with pytest.raises(DatasetError, match="both splits of the data set are 'none'"):
        spec.chosen({TRAIN: NO_SPLIT, EVALUATION: NO_SPLIT})


@pytest.mark.parametrize("folder", ["../other", "/other"])
def test_a_folder_outside_of_the_set_is_refused(folder):
    with pytest.raises(DatasetError, match=f"--IndexDataset-train-folder {folder}: leads out of the data set"):
        DATASETS["bop"].chosen({TRAIN: folder, EVALUATION: ""})


@pytest.mark.parametrize("name", [name for name, spec in DATASETS.items() if spec.splits])
@pytest.mark.parametrize("split", [TRAIN, EVALUATION])
def test_only_splits_that_are_read_must_exist(name, split, tmp_path):
    """A wrong root is an error for one split alone, too; nothing asks for the other."""
    spec = DATASETS[name]
    more = [tags_of] if spec.tags_from_masks else []
    with pytest.raises(DatasetError, match="--data-root"):
        spec.read(tmp_path, {split: spec.splits[split]}, *more)
