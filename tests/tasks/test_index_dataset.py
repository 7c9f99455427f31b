"""The index names files. The identity knows their contents alone, so renamed files must be noticed."""

import numpy as np
import pytest
from PIL import Image

from data.errors import DamagedArtifactError
from pipeline.planning import stale_reasons
from tasks.index_dataset import INDEX, IndexDataset
from tasks.load_depth import LoadDepth
from tasks.runtime.luigi_seam import forget_instances


@pytest.fixture
def common(in_process, tmp_path):
    """Two images with depth, and the parameters of the stages."""
    root = tmp_path / "set"
    for folder in ("images", "depth"):
        (root / folder).mkdir(parents=True)
    for value, name in enumerate("ab"):
        Image.fromarray(np.arange(500 + value, 2500 + value, dtype=np.uint16).reshape(40, 50)).save(
            root / f"depth/{name}.png"
        )
        Image.fromarray(np.full((40, 50, 3), value, np.uint8)).save(root / f"images/{name}.png")
    (root / "labels.csv").write_text("image,tags\na.png,cup\nb.png,plate\n")
    return {"dataset": "folder", "data_root": str(root), "artifacts": str(tmp_path / "artifacts"), "processes": 1}


def rename(root):
    (root / "images/a.png").rename(root / "images/a.PNG")
    (root / "labels.csv").write_text("image,tags\na.PNG,cup\nb.png,plate\n")


def again(common, stage=IndexDataset):
    forget_instances()
    return stage(**common)


def test_a_renamed_image_is_indexed_again(common, tmp_path):
    first, depth = IndexDataset(**common), LoadDepth(**common)
    for stage in (first, depth):
        stage.run()
    assert all(again(common, kind).complete() for kind in (IndexDataset, LoadDepth))
    (tmp_path / "set").rename(tmp_path / "elsewhere")  # the folder does not matter
    common["data_root"] = str(tmp_path / "elsewhere")
    assert again(common, LoadDepth).complete()

    rename(tmp_path / "elsewhere")
    depth = again(common, LoadDepth)
    second = depth.required["dataset"]
    assert second.identity == first.identity
    assert not second.complete()
    assert not depth.complete()
    assert stale_reasons(second) == ["the files of the data set are not as when this was made"]
    again(common).run()  # in another process
    assert second.complete()
    assert second.open().samples[0].image.name == "a.PNG"
    assert second.open().samples[0].image.is_file()


def test_an_index_that_is_written_again_is_read_again_by_the_stage_that_wrote_it(common, tmp_path):
    IndexDataset(**common).run()
    rename(tmp_path / "set")
    index = again(common)
    index.run()
    assert index.complete()
    assert index.open().samples[0].image.name == "a.PNG"


def test_a_damaged_index_is_told_by_whoever_reads_it(common):
    index = IndexDataset(**common)
    index.run()
    path = index.artifact.path / INDEX
    path.write_bytes(path.read_bytes().replace(b"a.png", b"c.png"))  # of the same size
    index = again(common)
    assert index.complete()
    with pytest.raises(DamagedArtifactError):
        index.open()
