"""The generated pages have every stage, every parameter with its default, every profile and every module."""

import doctest
import importlib.util
import re
import sys
from pathlib import Path

import pytest

import pipeline
from tasks.presets import PROFILES
from tasks.runtime.luigi_seam import default_text, has_default
from tasks.runtime.parameters import described
from tasks.runtime.stage import COMMON, StageTask

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def load(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pages = load("reference_pages")
STAGES_PAGE = pages.stages_page()


def section(page: str, title: str) -> str:
    return page.split(f"\n## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("name", pipeline.__all__)
def test_a_stage_has_its_docstring_and_all_its_parameters(name):
    stage = getattr(pipeline, name)
    text = section(STAGES_PAGE, name)
    assert text.strip().splitlines()[0] not in ("", "No parameters of its own.")
    table = text.partition("\n| parameter |")[2]
    hidden = COMMON if issubclass(stage, StageTask) else ()
    for option, parameter in stage.get_params():
        row = f"\n| `{option}` | "
        assert (row in table) == (option not in hidden)
        if option not in hidden and has_default(parameter) and default_text(parameter):
            assert row + f"`{default_text(parameter)}`" in table


def test_a_parameter_has_the_line_of_luigi_cfg():
    assert described(pipeline.ExtractCams, "scales") in section(STAGES_PAGE, "ExtractCams")
    for name in COMMON:
        assert f"| `{name}` |" in section(STAGES_PAGE, "Common parameters")
    assert issubclass(pipeline.ExtractCams, StageTask)


def test_tables_have_three_cells_a_row():
    for line in STAGES_PAGE.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) == 4, line


def test_every_profile_has_its_values():
    page = pages.profiles_page()
    for name, profile in PROFILES.items():
        text = section(page, name)
        for stage, values in profile.settings.items():
            assert all(f"`{key}={value}`" in text for key, value in values.items()), stage


def test_every_module_that_can_be_used_alone_has_its_place():
    text = "\n".join(pages.package_page(name) for name in pages.packages())
    for room in pages.CODE:
        for path in (ROOT / room).rglob("*.py"):
            module = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
            assert f"::: {module}\n" in text, module


def test_links_and_formulas_of_the_site():
    pytest.importorskip("mkdocs")
    converter = pytest.importorskip("latex2mathml.converter")
    path = list(sys.path)
    hooks = load("site_hooks")
    sys.path[:] = path
    assert doctest.testmod(hooks) == (0, 2)
    assert doctest.testmod(load("docstring_math")) == (0, 1)
    shown = hooks.on_page_content(r'<p><span class="arithmatex">\(a &lt; b\)</span></p>')
    assert shown == f"<p>{converter.convert('a < b')}</p>"
    assert "<math xmlns" in shown
