"""The reader of byte matrices against SciPy's writer."""

import io

import numpy as np
import pytest
from faults.mutations import mutated_bytes
from scipy.io import savemat

from data.files.matlab_file import read_byte_matrix


def written(content, compressed=False) -> bytes:
    file = io.BytesIO()
    savemat(file, content, do_compression=compressed)
    return file.getvalue()


@pytest.fixture
def labels():
    return np.random.default_rng(0).integers(0, 21, (30, 41), np.uint8)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_field_is_found_among_others_of_every_kind(labels, compressed):
    boundaries = np.empty((20, 1), object)
    boundaries[:] = [[np.eye(3)]] * 20
    truth = {"Boundaries": boundaries, "Segmentation": labels, "CategoriesPresent": [5, 20], "note": "text"}
    content = written({"first": [1.5, 2.5], "GTcls": truth, "last": "text"}, compressed)
    assert np.array_equal(read_byte_matrix(content, "GTcls", "Segmentation"), labels)


def test_four_bytes_lie_in_the_tag_of_their_element():
    tiny = np.array([[1, 2], [3, 4]], np.uint8)
    assert np.array_equal(read_byte_matrix(written({"GTcls": {"Segmentation": tiny}}), "GTcls", "Segmentation"), tiny)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"other": 1}, "it has no variable GTcls"),
        ({"GTcls": 3}, "GTcls is no single structure"),
        ({"GTcls": {"other": 3}}, "it has no field Segmentation"),
        ({"GTcls": {"Segmentation": np.zeros((2, 2))}}, "an element has type 9 instead of 2"),
        ({"GTcls": {"Segmentation": np.zeros((2, 2), np.int8)}}, "an element has type 1 instead of 2"),
        ({"GTcls": {"Segmentation": np.zeros((2, 2, 2), np.uint8)}}, "Segmentation is no matrix of bytes"),
        ({"GTcls": {"Segmentation": np.zeros((2, 2), complex)}}, "a matrix is complex"),
    ],
)
def test_what_is_no_such_field_is_refused(content, message):
    with pytest.raises(ValueError, match=message):
        read_byte_matrix(written(content), "GTcls", "Segmentation")


@pytest.mark.parametrize("content", [b"", b"MATLAB 7.3 MAT-file" + bytes(200), bytes(300)])
def test_another_version_is_refused(content):
    with pytest.raises(ValueError, match="it is no MATLAB file of version 5"):
        read_byte_matrix(content, "GTcls", "Segmentation")


@pytest.mark.parametrize("compressed", [False, True])
def test_damage_is_a_value_error_or_harmless(labels, compressed):
    """SciPy's reader ends the process on a few of them."""
    content = written({"GTcls": {"Segmentation": labels, "CategoriesPresent": [5, 20]}}, compressed)
    rng, refused = np.random.default_rng(0), 0
    for _ in range(500):
        try:
            assert read_byte_matrix(mutated_bytes(content, rng), "GTcls", "Segmentation").ndim == 2
        except ValueError:
            refused += 1
    assert refused > 100


def test_every_cut_is_noticed(labels):
    for compressed in (False, True):
        content = written({"GTcls": {"Segmentation": labels}}, compressed)
        for end in range(0, len(content) - 8, 7):
            with pytest.raises(ValueError):
                read_byte_matrix(content[:end], "GTcls", "Segmentation")
