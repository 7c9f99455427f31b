import pickle

import numpy as np
import pytest

from data import columns
from data.columns import JSON, TEXT, Columns

KINDS = {"name": TEXT, "size": "int32,2", "unit": "float64", "tags": JSON}


def rows_of(count):
    return [
        {"name": f"ä/{index}", "size": [index, 2 * index], "unit": 0.1 * index, "tags": [index] * (index % 3)}
        for index in range(count)
    ]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(columns, "BLOCK", 4)


@pytest.mark.parametrize("count", [0, 1, 4, 10])
def test_rows_come_back_as_they_were(count):
    table = Columns.of_rows(KINDS, iter(rows_of(count)))
    assert len(table) == count
    assert list(table.rows()) == rows_of(count)
    assert [table.row(place) for place in range(count)] == rows_of(count)
    assert list(table.rows(["tags"])) == [{"tags": row["tags"]} for row in rows_of(count)]


def test_a_place_that_is_not_there():
    with pytest.raises(IndexError):
        Columns.of_rows(KINDS, rows_of(3)).row(3)


def test_what_a_row_lacks_is_empty():
    table = Columns.of_rows({"name": TEXT, "depth": TEXT, "tags": JSON}, [{"name": "a", "depth": None}])
    assert table.row(0) == {"name": "a", "depth": "", "tags": []}


def test_some_rows_and_other_columns():
    table = Columns.of_rows(KINDS, rows_of(10))
    assert list(table.taken(np.array([7, 2])).rows()) == [rows_of(10)[7], rows_of(10)[2]]
    assert list(table.taken(slice(3, 9)).rows()) == rows_of(10)[3:9]
    other = table.replaced(unit=np.ones(10))
    assert (other.row(4)["unit"], table.row(4)["unit"]) == (1.0, 0.4)


def test_a_part_is_sent_without_the_rest():
    table = Columns.of_rows(KINDS, rows_of(1000))
    sent = pickle.dumps(table.taken(slice(0, 10)))
    assert len(sent) < len(pickle.dumps(table)) / 20
    assert list(pickle.loads(sent).rows()) == rows_of(10)


def test_a_text_that_is_none_is_refused():
    with pytest.raises(UnicodeEncodeError):
        Columns.of_rows({"name": TEXT}, [{"name": "\udc80"}])
