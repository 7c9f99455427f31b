import numpy as np
import pytest
import zarr

from data.store import ahead
from data.store.ahead import ReadAhead

SHARD = 4


class Counted:
    """An array that counts the calls."""

    def __init__(self, array):
        self.array, self.calls = array, 0

    def __getattr__(self, name):
        return getattr(self.array, name)

    def __getitem__(self, key):
        self.calls += 1
        return self.array[key]


@pytest.fixture
def array():
    found = zarr.create_array({}, shape=(8, 3, 5), chunks=(1, 3, 5), shards=(SHARD, 3, 5), dtype="int32")
    found[...] = np.arange(8 * 15).reshape(8, 3, 5)
    return Counted(found)


def shard_of(index):
    start = index // SHARD * SHARD
    return range(start, start + SHARD)


def read(reader, index, shape=(2, 4)):
    return reader.read(index, shape, shard_of(index))


@pytest.mark.parametrize("order", [range(8), [5, 2, 7, 0], [0, 1, 0, 2, 3, 1], [3, 4, 5, 4, 6, 7]])
def test_the_values_do_not_depend_on_the_order(array, order):
    reader, everything = ReadAhead(array), array.array[...]
    for index in order:
        np.testing.assert_array_equal(read(reader, index), everything[index, :2, :4])


def test_a_shard_in_a_row_takes_two_calls(array):
    reader = ReadAhead(array)
    for index in range(SHARD):
        read(reader, index)
    assert array.calls == 2
    assert reader._held[1].size == 0  # nothing is kept after the last image


def test_images_in_random_order_are_read_alone(array):
    reader = ReadAhead(array)
    for index in (5, 2, 7, 0, 3):
        read(reader, index)
    assert array.calls == 5
    assert reader._held[1].size == 0


def test_a_shard_that_is_too_large_is_not_held(array, monkeypatch):
    monkeypatch.setattr(ahead, "SHARD_BYTES", 3 * 15 * 4 - 1)
    reader = ReadAhead(array)
    for index in range(SHARD):
        read(reader, index)
    assert array.calls == 3  # one, one, and the two that fit


def test_what_is_read_may_be_changed(array):
    reader = ReadAhead(array)
    read(reader, 0)
    read(reader, 1)[...] = 0
    assert read(reader, 1).min() > 0
