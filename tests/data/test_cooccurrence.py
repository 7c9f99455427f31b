import itertools

import numpy as np
import pytest

from data.cooccurrence import Cooccurrence, told_apart

NAMES = ("background", "cup", "mug", "pan", "fork")


def test_counts_are_those_of_a_slow_search():
    rng = np.random.default_rng(0)
    tags = [tuple(np.flatnonzero(rng.random(6) < 0.4).tolist()) for _ in range(300)]
    found = Cooccurrence.of_tags(tags)
    for tag in range(6):
        assert found.images[tag] == sum(tag in one for one in tags)
        assert found.alone[tag] == tags.count((tag,))
        partners = {other: sum(tag in one and other in one for one in tags) for other in range(6) if other != tag}
        assert dict(found.partners(tag)) == partners
    for pair in itertools.combinations(range(6), 2):
        assert found.together[pair] == sum(set(pair) <= set(one) for one in tags)


@pytest.mark.parametrize(
    ("tags", "lines"),
    [
        ([(1,), (2,), (1, 2)], []),
        ([(1, 2), (2, 3), (1, 3)], []),  # never alone, and yet each differs from each
        ([(1, 2), (1, 2), (3,)], ["cup + mug are tags of the same training images"]),
        ([(1, 2, 3), (4,)], ["cup + mug + pan are tags of the same"]),
        ([(1, 2), (2,)], ["1 of 2 classes never occur without another: cup (with mug)"]),
        (
            [(1, 2, 3), (1, 2)],
            ["cup + mug are tags", "1 of 3 classes never occur without another: pan (with cup, mug)"],
        ),
        ([()], []),
    ],
)
def test_classes_that_tags_cannot_tell_apart(tags, lines):
    found = told_apart(Cooccurrence.of_tags(tags), NAMES)
    assert len(found) == len(lines)
    assert all(line.startswith(start) for line, start in zip(found, lines))


def test_many_groups_are_one_line():
    tags = [(2 * number + 1, 2 * number + 2) for number in range(8)]
    (line,) = told_apart(Cooccurrence.of_tags(tags), tuple("abcdefghijklmnopq"))
    assert line.startswith("b + c, d + e, f + g, h + i, j + k and 3 more are tags")
