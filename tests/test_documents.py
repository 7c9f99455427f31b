"""README, CONTRIBUTING and docs/: links lead somewhere, commands exist, and the way in stands at the top."""

import configparser
import re
import shlex
from pathlib import Path

import pytest
import yaml

import pipeline
from data.errors import SettingError
from data.readers import DATASETS
from pipeline.__main__ import build_parser
from pipeline.command_line import check_command_line
from tasks.methods import METHODS
from tasks.presets import PROFILES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CITED = re.compile(r"`(\.{3}|[\w/]*test_\w+\.py)(?:::?(\w+))?`")
SETUP = configparser.ConfigParser(interpolation=None)
SETUP.read(ROOT / "setup.cfg")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def commands(text: str) -> list[list[str]]:
    """The commands in the bash blocks of a page, split as the shell does, without comments."""
    found = []
    for _, language, block in FENCE.findall(text):
        if language == "bash":
            lines = block.replace("\\\n", " ").splitlines()
            found += [words for line in lines if (words := shlex.split(line, comments=True))]
    return found


def luigi_commands() -> list[tuple[str, list[str]]]:
    """Page and what follows ``luigi --module pipeline`` or ``depthseed run``."""
    found = []
    for page in PAGES:
        for words in commands(page.read_text()):
            if "--module" in words and "pipeline" in words:
                found.append((name(page), words[words.index("pipeline") + 1 :]))
            elif words[:2] == ["depthseed", "run"]:
                found.append((name(page), words[2:]))
    return found


def inspection_commands() -> list[tuple[str, list[str]]]:
    """Page and what follows ``python -m pipeline`` or ``depthseed``, without ``run``."""
    found = []
    for page in PAGES:
        for words in commands(page.read_text()):
            start = 3 if words[:3] == ["python", "-m", "pipeline"] else 1 if words[0] == "depthseed" else 0
            if start and words[start] != "run":
                found.append((name(page), words[start:]))
    return found


def flags_of_luigi() -> dict[str, object]:
    """Every flag of every stage, as luigi names them."""
    return {
        f"--{stage}-{option.replace('_', '-')}": parameter
        for stage in pipeline.__all__
        for option, parameter in getattr(pipeline, stage).get_params()
    }


def check_flags(words: list[str], task: str) -> None:
    known = flags_of_luigi()
    for word in words:
        flag = word.partition("=")[0]
        if flag.startswith("--"):
            assert flag in known or f"--{task}-{flag[2:]}" in known, f"{flag} is no flag of {task}"


def test_the_two_commands_stand_at_the_top_and_exist():
    first = README[: README.index("## ")]
    assert commands(first) == [["make", "demo"], ["make", "test"]]
    targets = re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for page in (README, (ROOT / "CONTRIBUTING.md").read_text()):
        for words in commands(page):
            if words[0] == "make":
                assert words[1] in targets


def test_ci_runs_the_commands_of_contributing():
    ran = re.findall(r"^make (\w+)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert ran == ["lint", "docs", "test"]
    assert "/mkdocs build --strict\n" in (ROOT / "Makefile").read_text()  # with --quiet, it would not count warnings


def test_the_readme_is_two_screens():
    assert len(README.splitlines()) <= 100


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_to_files_lead_somewhere(page):
    text = FENCE.sub("", page.read_text())
    for link in LINK.findall(text):
        path = link.partition("#")[0]
        if path and not re.match(r"\w+:", path):
            assert (page.parent / path).exists(), f"{name(page)}: {link}"


def wrong_citations(text: str) -> list[str]:
    """The cited test files and tests that do not exist; ``...`` stands for the file that was cited before."""
    wrong, file = [], Path()
    for cited in CITED.finditer(text):
        if cited[1] != "...":
            file = ROOT / "tests" / cited[1].removeprefix("tests/")
        defined = file.is_file() and (not cited[2] or f"def {cited[2]}(" in file.read_text())
        wrong += [] if defined else [cited[0]]
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_test_that_a_page_cites_exists(page):
    assert wrong_citations(page.read_text()) == []


def test_a_wrong_citation_is_found():
    page = "`test_documents.py::test_one_version_everywhere`, `...::test_gone`, `tests/test_no.py:test_a`, `test_no.py`"
    assert wrong_citations(page) == ["`...::test_gone`", "`tests/test_no.py:test_a`", "`test_no.py`"]


@pytest.mark.parametrize(("page", "words"), luigi_commands(), ids=lambda value: " ".join(value)[:80])
def test_a_luigi_command_has_a_stage_and_flags_that_exist(page, words):
    words = [word for word in words if word not in ("...", "&", "|")]
    check_command_line(words, pipeline.__all__)
    task = next(word for word in words if word in pipeline.__all__)
    check_flags(words, task)
    for flag, names in {"--dataset": DATASETS, "--method": METHODS, "--profile": PROFILES}.items():
        for before, value in zip(words, words[1:]):
            if before == flag and value.islower():
                assert value in names


@pytest.mark.parametrize(("page", "words"), inspection_commands(), ids=lambda value: " ".join(value)[:80])
def test_an_inspection_command_exists(page, words):
    words = words[: words.index(">")] if ">" in words else words
    _, flags = build_parser().parse_known_args(words)
    check_flags(flags, "WriteReport" if words[0] != "show" else words[1])


def test_a_wrong_command_is_found():
    with pytest.raises(SettingError):
        check_command_line(["RunAl", "--dataset", "demo"], pipeline.__all__)
    with pytest.raises(AssertionError, match="no flag of RunAll"):
        check_flags(["RunAll", "--alpha", "1"], "RunAll")


def test_what_was_measured_on_rendered_frames_says_so_in_the_same_sentence():
    text = FENCE.sub("", README).replace("\n", " ")
    measured = [part for part in re.split(r"(?<=[.:!?]) ", text) if re.search(r"\d\d\.\d\b", part)]
    assert measured
    assert [part for part in measured if "rendered" not in part] == []


def test_one_version_everywhere():
    version = SETUP["metadata"]["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1]
    assert newest in (version, "Unreleased")


def test_the_workflow_runs_ci_on_every_python_that_is_promised():
    job = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())["jobs"]["tests"]
    promised = re.findall(r":: (3\.\d+)$", SETUP["metadata"]["classifiers"], re.MULTILINE)
    assert job["strategy"]["matrix"]["python"] == promised
    assert job["env"]["TORCH"] == "cpu"
    assert job["steps"][-1]["run"] == "bash .ci/run"


FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_has_the_fields_that_the_forge_asks_for(form):
    content = yaml.safe_load(form.read_text())
    assert content["name"]
    assert content["description"]
    asked = [item for item in content["body"] if item["type"] != "markdown"]
    assert len({item["id"] for item in asked}) == len(asked)
    assert all(item["attributes"]["label"] for item in asked)
    assert any(item.get("validations", {}).get("required") for item in asked)
