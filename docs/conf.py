"""Sphinx: the pages of this folder as they stand, and the API from docstrings."""

import re
from importlib.metadata import version as installed
from pathlib import Path

from sphinx.application import Sphinx

project = "Hamerspace"
author = "The Hamerspace authors"
project_copyright = "The Hamerspace authors"
release = installed("hamerspace")
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"Hamerspace {release}"
html_static_path: list[str] = []

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autoclass_content = "class"
napoleon_google_docstring = True
napoleon_use_ivar = True

ROOT = Path(__file__).parents[1]
_SHOWN = {
    "changelog": "CHANGELOG.md",
    "contributing": "CONTRIBUTING.md",
    "studies": "studies/README.md",
}
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)([^)#]+)(#[^)]*)?\)")


def bring_in(_: Sphinx, page: str, content: list[str]) -> None:
    """Files of the repository become pages, and links between the two lead to those."""
    if page in _SHOWN:
        content[0] = _LINK.sub(_relinked, (ROOT / _SHOWN[page]).read_text())
    else:
        for name, path in _SHOWN.items():
            content[0] = content[0].replace(f"](../{path})", f"]({name}.md)")


def _relinked(found: re.Match[str]) -> str:
    """A link out of such a file: to a page of the site, else plain text."""
    text, target, anchor = found.groups()
    page = target.removeprefix("../").removeprefix("docs/")
    return f"[{text}]({page}{anchor or ''})" if page != target else text


def setup(app: Sphinx) -> None:
    """Connect what is above."""
    app.connect("source-read", bring_in)
