import pytest
import torch

from tasks.runtime.ranks import Ranks, part_of, present_ranks, ranks_here


def test_parts_are_of_nearly_equal_length_and_miss_nothing():
    for size in range(9):
        for parts in range(1, 6):
            cut = [list(range(size))[part_of(size, parts, number)] for number in range(parts)]
            assert sum(cut, []) == list(range(size))
            assert max(map(len, cut)) - min(map(len, cut)) <= 1


def test_one_rank_needs_no_process_group():
    ranks = present_ranks()
    assert (ranks.rank, ranks.count, ranks_here()) == (0, 1, 1)
    assert ranks.is_first
    values = torch.arange(3)
    assert ranks.sum(values) is values
    assert ranks.largest([3, 1]) == [3, 1]
    assert ranks.gather("x") == ["x"]
    assert ranks.own([4, 5, 6]) == [4, 5, 6]


@pytest.mark.parametrize(("count", "parts"), [(1, 1), (2, 1), (2, 2), (3, 2)])
def test_each_part_is_shared_by_all_ranks(count, parts):
    items = list("abcdefgh")
    cut = [[items[place] for place in Ranks(rank, count).slices(8, parts)] for rank in range(count)]
    for number in range(parts):
        together = sum((of_rank[number] for of_rank in cut), [])
        assert together == items[part_of(8, parts, number)]
