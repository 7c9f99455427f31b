import os
import signal
import sys

import numpy as np
import pytest

from models.opencv_superpixels import opencv_lsc, opencv_seeds, opencv_slic


@pytest.fixture
def image():
    """Six squares of different colours, with a little noise."""
    pytest.importorskip("cv2")
    rng = np.random.default_rng(0)
    squares = np.kron(rng.integers(0, 255, (2, 3, 3)), np.ones((32, 32, 1)))
    return np.clip(squares + rng.normal(0, 3, squares.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("function", "number"), [(opencv_slic, 16), (opencv_lsc, 16), (opencv_seeds, 6)])
def test_superpixels_are_numbered_without_gaps_and_follow_colours(image, function, number):
    labels = function(image, number)
    assert labels.shape == image.shape[:2]
    assert labels.dtype == np.int64
    assert set(np.unique(labels)) == set(range(labels.max() + 1))
    assert 3 <= labels.max() + 1 <= 60
    squares = np.kron(np.arange(6).reshape(2, 3), np.ones((32, 32), int))
    pure = sum(np.bincount(squares[labels == k]).max() for k in range(labels.max() + 1)) / labels.size
    assert pure > 0.9
    assert all(np.array_equal(labels, function(image, number)) for _ in range(20))  # its threads add up in any order


def test_the_channels_are_those_of_opencv(monkeypatch, image):
    import cv2

    seen = []
    create = cv2.ximgproc.createSuperpixelSLIC

    def spy(given, **more):
        seen.append(given)
        return create(given, **more)

    monkeypatch.setattr(cv2.ximgproc, "createSuperpixelSLIC", spy)
    opencv_slic(image, 32)
    assert np.array_equal(seen[0], image[..., ::-1])


def test_without_opencv_it_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match="contrib modules are not installed"):
        opencv_slic(np.zeros((8, 8, 3), np.uint8), 4)


def in_a_process(function, image, number):
    """How a process ends that finds superpixels: their number, "refused", or "ended" if a signal ends it."""
    process = os.fork()
    if not process:
        signal.alarm(5)
        try:
            os._exit(min(int(function(image, number).max()) + 1, 200))
        except ValueError:
            os._exit(255)
    status = os.waitpid(process, 0)[1]
    if os.WIFSIGNALED(status):
        return "ended"
    return "refused" if os.WEXITSTATUS(status) == 255 else os.WEXITSTATUS(status)


@pytest.mark.parametrize("function", [opencv_slic, opencv_lsc])
@pytest.mark.parametrize(
    ("size", "region_size"),
    [((60, 80), 80), ((48, 64), 130), ((64, 48), 48), ((41, 2), 2), ((1, 9), 4), ((9, 1), 80), ((7, 9), 1000)],
)
def test_superpixels_are_no_larger_than_the_image(image, function, size, region_size):
    noise = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    found = in_a_process(function, noise, region_size)
    assert found not in ("ended", "refused")
    assert found == in_a_process(function, noise, min(size))


@pytest.mark.parametrize(
    ("size", "count"),
    [((32, 32), 1200), ((7, 9), 100), ((10, 200), 8), ((10, 200), 30), ((12, 200), 30), ((200, 12), 30),
     ((64, 64), 1200)],
)  # fmt: skip
def test_seeds_without_a_grid_are_refused(image, size, count):
    noise = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    assert in_a_process(opencv_seeds, noise, count) == "refused"


@pytest.mark.parametrize(("size", "count"), [((32, 32), 250), ((16, 200), 30), ((64, 64), 1000), ((20, 20), 1)])
def test_seeds_with_a_grid_are_found(image, size, count):
    noise = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    assert in_a_process(opencv_seeds, noise, count) in range(2, 201)
