"""What holds for every registered data set; a new entry is tested without an edit here."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from reader_contract import check_wrong_root, read

from data.readers import DATASETS
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
