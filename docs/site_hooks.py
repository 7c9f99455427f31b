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
    >>> from_root("[a](docs/deal.md#x), [b](CHANGELOG.md), [c](LICENSE)")
    '[a](deal.md#x), [b](changelog.md), [c](../LICENSE)'
    """
    pages = {source: page for page, source in OF_THE_ROOT.items()}

    def target(path: str) -> str:
        if path.startswith(("http:", "https:", "mailto:")):
            return path
        return pages.get(path) or os.path.relpath(path, "docs")

    return LINK.sub(lambda found: f"{found[1]}[{found[2]}]({target(found[3])}{found[4] or ''})", text)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links to files that are not on the site become plain text: the repository has no fixed address."""

    def plain(found: re.Match[str]) -> str:
        outside = found[3].startswith("../") and "/" not in page.file.src_uri
        return found[2] if outside else found[0]

    return LINK.sub(plain, markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Formulas become MathML, which browsers show without a script."""

    def mathml(found: re.Match[str]) -> str:
        return convert(html.unescape(found[3]), display="block" if found[2] == "[" else "inline")

    return FORMULA.sub(mathml, content)
