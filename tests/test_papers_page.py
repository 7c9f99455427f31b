"""docs/papers.md: every row has a test or a command, and what it names exists."""

import ast
import re
import shlex
from pathlib import Path

import pytest

import pipeline
from pipeline.command_line import check_command_line
from tests.test_documents import check_flags

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "papers.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| what")]
NAMED = sorted(set(re.findall(r"`([\w/]+\.py):(\w+)`", PAGE)))


COMMANDS = sorted(set(re.findall(r"`luigi (\w[^`]*)`", PAGE)) - {"--module pipeline"})


def cells(row):
    return [cell.strip() for cell in row.strip("|").split("|")]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: cells(row)[0][:40])
def test_a_row_has_code_and_a_test_or_a_command(row):
    assert len(cells(row)) == 7
    _, code, shown, *_ = cells(row)
    assert re.fullmatch(r"`[\w/]+\.py:\w+`", code)
    assert re.search(r"`tests/[\w/]+\.py:test_\w+`|`luigi |`python ", shown)


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_what_it_names_exists(file, name):
    defined = {
        node.name
        for node in ast.walk(ast.parse((ROOT / file).read_text()))
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    }
    assert name in defined


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_a_stage_and_flags_that_exist(command):
    stage, *flags = shlex.split(command)
    check_command_line([stage, *flags], pipeline.__all__)
    check_flags(flags, stage)


def test_a_number_that_may_not_be_compared_says_so():
    """A published number stands beside a word in the last column."""
    for row in ROWS:
        *_, ours, published, compare = cells(row)
        if re.search(r"\d\.\d", ours) and re.search(r"\d\.\d", published):
            assert compare.startswith(("no", "yes")), row


def test_nothing_that_is_in_the_papers_is_said_to_be_unknown():
    for room in ("docs", "models", "tasks"):
        for path in (ROOT / room).rglob("*"):
            if path.suffix in (".md", ".py") and path.name != "papers.md":
                assert "could not be read" not in path.read_text(), path
