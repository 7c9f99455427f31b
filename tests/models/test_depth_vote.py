import numpy as np

from models.depth_vote import region_means, vote_by_depth


def test_region_means_equal_the_loops():
    rng = np.random.default_rng(0)
    values, regions = rng.random((3, 6, 7)).astype(np.float32), rng.choice([0, 2, 5], (6, 7))
    found = region_means(values, regions)
    for label in range(3):
        for region in (0, 2, 5):
            pixels = [(y, x) for y in range(6) for x in range(7) if regions[y, x] == region]
            mean = sum(float(values[label, y, x]) for y, x in pixels) / len(pixels)
            assert all(abs(found[label, y, x] - mean) < 1e-6 for y, x in pixels)


def scene(valid=True):
    """Depth of a box 30 cm nearer than its table, and the measured pixels."""
    depth = np.ones((240, 320), np.float32)
    depth[80:160, 120:200] = 0.7
    return depth, np.full(depth.shape, valid)


def test_an_object_gets_one_class_and_the_table_keeps_its_own():
    image = np.full((240, 320, 3), 90, np.uint8)
    image[80:160, 120:200] = 200
    values = np.zeros((3, 240, 320), np.float32)
    values[0] = 1.0
    values[:, 80:160, 120:200] = np.array([0.1, 0.6, 0.3])[:, None, None]
    values[:, 80:104, 120:200] = np.array([0.1, 0.3, 0.6])[:, None, None]  # the lid has another class
    values[:, 200:220, 20:36] = np.array([0.2, 0.0, 0.8])[:, None, None]  # a spot on the table
    found = vote_by_depth(values, image, *scene()).argmax(0)
    assert (found[86:154, 126:194] == 1).all()
    assert (found[204:216, 24:32] == 2).all()
    assert (found[:60] == 0).all()


def test_without_depth_nothing_is_voted():
    values = np.random.default_rng(0).random((2, 240, 320)).astype(np.float32)
    assert vote_by_depth(values, np.zeros((240, 320, 3), np.uint8), *scene(valid=False)) is values
