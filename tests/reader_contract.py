"""What every reader must do on a tiny set in its official layout, and what its error says about a wrong root."""

import numpy as np
import pytest
from PIL import Image

from data.errors import DepthseedError
from data.files.images import read_image
from data.files.labels import read_truth
from data.readers import DATASETS
from data.readers.label_maps import tags_of
from data.sample import EVALUATION, TRAIN, DatasetIndex

SIZE = (12, 16)
"""Of every image; the object lies in the corner [:4, :4]."""


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def picture():
    return np.full((*SIZE, 3), 90, np.uint8)


def labels(corner):
    """Label map with a class in the corner, unlabelled in the last row and 0 elsewhere."""
    found = np.zeros(SIZE, np.uint8)
    found[:4, :4] = corner
    found[-1] = 255
    return found


def read(name, root) -> DatasetIndex:
    """Index a registered data set whose folder lies below `root`."""
    spec = DATASETS[name]
    return spec.read(root / spec.folder, spec.splits, *([tags_of] if spec.tags_from_masks else []))


def check_layout(name, root, counts, num_classes, tags, corner) -> DatasetIndex:
    """Index a set below `root` and check it.

    `counts` are the images per split, `num_classes` the foreground classes, `tags` those of every image, `corner`
    the class in the corner.
    """
    index = read(name, root)
    assert (len(index.split(TRAIN)), len(index.split(EVALUATION))) == counts
    assert index.num_classes == num_classes
    for sample in index.samples:
        assert sample.tags == tags
        assert read_image(sample.image).shape == (*SIZE, 3)
        truth = read_truth(sample, index.num_classes)
        assert truth.shape == SIZE
        assert truth[1, 1] == corner
        assert truth[6, 10] == 0
    return index


def check_wrong_root(name, root) -> None:
    """The error is one line that names the expected folder and the flag."""
    with pytest.raises(DepthseedError) as caught:
        read(name, root / "nowhere")
    message = str(caught.value)
    assert "\n" not in message
    assert "--data-root" in message
    assert str(root / "nowhere" / DATASETS[name].folder) in message
