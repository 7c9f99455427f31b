import numpy as np
import pytest

from data.errors import DatasetError
from data.recordings.frames import COLOUR, DEPTH, Packed
from data.recordings.pairing import NO_DEPTH, Motion, matched, paired


def slowly_matched(colour, depth, tolerance):
    """Each colour image and each depth image name their nearest; a pair is two that name each other."""
    found = []
    for place, time in enumerate(colour):
        gaps = [abs(time - other) if other >= 0 else np.inf for other in depth]
        best = int(np.argmin(gaps)) if time >= 0 and gaps else -1
        ok = best >= 0 and gaps[best] <= tolerance
        ok = ok and int(np.argmin([abs(depth[best] - t) if t >= 0 else np.inf for t in colour])) == place
        found.append(best if ok else NO_DEPTH)
    return found


def test_matching_is_that_of_a_slow_search():
    rng = np.random.default_rng(0)
    for _ in range(200):
        sizes = rng.integers(0, 9, 2)
        colour, depth = (rng.choice(10_000, size, replace=False).astype(np.int64) for size in sizes)
        for times in (colour, depth):
            times[rng.random(len(times)) < 0.2] = -1
        assert matched(colour, depth, 300).tolist() == slowly_matched(colour.tolist(), depth.tolist(), 300)


class Recorded:
    """A recording of numbers."""

    def __init__(self, order):
        self.order = order

    def images(self):
        for stream, number in self.order:
            yield stream, number, Packed(f"{stream} {number}", None, None, 10)


def test_frames_come_in_order_with_their_depth():
    order = [(DEPTH, 0), (COLOUR, 1), (COLOUR, 0), (COLOUR, 2), (DEPTH, 7), (DEPTH, 1), (COLOUR, 3)]
    found = [
        (number, colour.place, depth and depth.place)
        for number, colour, depth in paired(Recorded(order), {0: 0, 1: 1, 3: NO_DEPTH})
    ]
    assert found == [(0, "colour 0", "depth 0"), (1, "colour 1", "depth 1"), (3, "colour 3", None)]


def test_images_that_wait_are_bounded():
    apart = [(COLOUR, number) for number in range(9)] + [(DEPTH, number) for number in range(9)]
    partners = {number: number for number in range(9)}
    assert len(list(paired(Recorded(apart), partners, most_waiting=90))) == 9
    with pytest.raises(DatasetError, match="lie far apart in the recording"):
        list(paired(Recorded(apart), partners, most_waiting=80))


def test_motion_compares_with_the_frame_that_was_kept_last():
    def flat(grey):
        return np.full((48, 64, 3), grey, np.uint8)

    motion = Motion(10)
    assert [motion.keeps(flat(grey)) for grey in (100, 106, 110, 111, 115, 100)] == [
        True,
        False,
        False,
        True,
        False,
        True,
    ]
    assert Motion(255).keeps(flat(0))
    still = Motion(0)
    assert still.keeps(flat(5))
    assert still.keeps(flat(5))


def test_noise_is_no_motion():
    rng, motion = np.random.default_rng(0), Motion(4)
    scene = rng.integers(60, 200, (12, 16)).repeat(40, 0).repeat(40, 1)[..., None].repeat(3, 2)
    noisy = [np.clip(scene + rng.normal(0, 12, scene.shape), 0, 255).astype(np.uint8) for _ in range(2)]
    assert [motion.keeps(image) for image in noisy] == [True, False]
    assert motion.keeps(np.roll(noisy[0], 60, 1))
