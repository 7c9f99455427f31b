"""What the reader of a data set left out is a warning of IndexDataset, also where a tuning split leaves images out."""

import numpy as np
import pytest
from PIL import Image

from tasks.index_dataset import IndexDataset


@pytest.mark.parametrize("tuning", [0.0, 0.5])
def test_files_that_are_not_read_are_warned_of(in_process, tmp_path, tuning):
    root = tmp_path / "own"
    for folder in ("images", "depth"):
        (root / folder).mkdir(parents=True)
    for name in "abcd":
        Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(root / f"images/{name}.jpg")
        Image.fromarray(np.ones((48, 64), np.uint16)).save(root / f"depth/{name}.tif")
    Image.fromarray(np.ones((48, 64), np.uint16)).save(root / "depth/z.png")
    rows = ("a.jpg,cup,train", "b.jpg,mug,train", "c.jpg,mug cup,train", "d.jpg,cup,evaluation")
    (root / "labels.csv").write_text("\n".join(["image,tags,split", *rows, ""]))
    stage = IndexDataset(dataset="folder", data_root=str(root), artifacts=str(tmp_path / "artifacts"), tuning=tuning)
    stage.run()
    found = [line for line in stage.findings() if "depth" in line]
    assert found == [
        "1 files in depth/ are not read: depth/z.png; an image has a PNG or TIFF file of its own name in there"
    ]
    assert stage.open().has_depth
