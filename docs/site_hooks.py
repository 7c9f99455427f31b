"""Hook of mkdocs: pages from README.md, CONTRIBUTING.md, CHANGELOG.md and from the code; formulas as MathML."""

from __future__ import annotations

import html
import os
import re
import sys
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

from reference_pages import package_page, packages, profiles_page, stages_page  # noqa: E402

OF_THE_ROOT = {"index.md": "README.md", "contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
"""Page of the site -> file of the repository."""

PAGE_OF = {
    **{source: page for page, source in OF_THE_ROOT.items()},
    "luigi.cfg": "reference/stages.md",
    "tasks/presets.py": "reference/profiles.md",
}
"""File of the repository -> page of the site that shows the same."""

LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.+?)\\[)\]]</\1>', re.DOTALL)


def on_config(config: Any) -> Any:
    """Put the pages of the packages into the navigation."""
    for group in config["nav"]:
        for entry in group.get("Reference", []):
            if "Code" in entry:
                entry["Code"] = [{name: f"reference/{name}.md"} for name in packages()]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages."""
    texts = {page: from_root((ROOT / source).read_text()) for page, source in OF_THE_ROOT.items()}
    texts |= {"reference/stages.md": stages_page(), "reference/profiles.md": profiles_page()}
    texts |= {f"reference/{name}.md": package_page(name) for name in packages()}
    for page, text in texts.items():
        files.append(File.generated(config, page, content=text))
    return files


def from_root(text: str) -> str:
    """A text of the root folder as a page in docs/.

    Examples
    --------
    >>> from_root("[a](docs/deal.md#x), ![b](docs/b.png), [c](https://d.e/docs/f)")
    '[a](deal.md#x), ![b](b.png), [c](https://d.e/docs/f)'
    """

    def moved(found: re.Match[str]) -> str:
        path = found[3] if re.match(r"\w+:", found[3]) else os.path.relpath(found[3], "docs")
        return f"{found[1]}[{found[2]}]({path}{found[4] or ''})"

    return LINK.sub(moved, text)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links out of docs/ go to the page that shows the same; without one, they become plain text."""
    return inside(markdown) if "/" not in page.file.src_uri else markdown


def inside(markdown: str) -> str:
    """The text of a page in docs/ with links to pages of the site in place of files outside of docs/.

    Examples
    --------
    >>> inside("[a](../luigi.cfg), [b](../models/depth_noise.py), [c](../data/depth/__init__.py), [d](../LICENSE)")
    '[a](reference/stages.md), [b](reference/models.md#models.depth_noise), [c](reference/data.depth.md), d'
    """

    def changed(found: re.Match[str]) -> str:
        if not found[3].startswith("../"):
            return found[0]
        path = Path(found[3].removeprefix("../"))
        package = ".".join(path.parts[:-1])
        target = PAGE_OF.get(path.as_posix())
        if target is None and path.suffix == ".py" and package in packages():
            module = "" if path.stem == "__init__" else f"#{package}.{path.stem}"
            target = f"reference/{package}.md{module}"
        return f"{found[1]}[{found[2]}]({target}{found[4] or ''})" if target else found[2]

    return LINK.sub(changed, markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Formulas become MathML, which browsers show without a script."""

    def mathml(found: re.Match[str]) -> str:
        return convert(html.unescape(found[3]), display="block" if found[2] == "[" else "inline")

    return FORMULA.sub(mathml, content)
