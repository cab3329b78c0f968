"""How the pages are made: the guide from the Markdown beside this file, the reference from the docstrings of the installed charrnn."""

from __future__ import annotations

import contextlib
import io
import os

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

from charrnn import __version__
from charrnn.cli import main as cli

project = author = "charrnn"
release = version = __version__
html_title = f"charrnn {release}"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
html_theme = "furo"  # light and dark, by the reader's setting
html_theme_options = {"navigation_with_keys": True}
html_copy_source = html_show_sourcelink = html_show_copyright = html_show_sphinx = False
myst_heading_anchors = 3
highlight_language = "text"  # unless a block says what it is
default_role = "py:obj"  # `SettingsError` in a docstring is a link where there is something to link to
python_maximum_signature_line_length = 88
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say what is what, shapes and units included
html_static_path = ["style.css"]
html_css_files = ["style.css"]
smartquotes_action = "D"  # dashes only: quotation marks in docstrings are Python's
autodoc_preserve_defaults = True
napoleon_use_rtype, napoleon_use_ivar = False, True


class Help(Directive):
    """``{help} train``: what ``charrnn train --help`` prints."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        os.environ |= {"COLUMNS": "88", "NO_COLOR": "1"}
        text = io.StringIO()
        with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
            cli.main([self.arguments[0], "--help"])
        block = nodes.literal_block(text.getvalue(), text.getvalue())
        block["language"] = "text"
        return [block]


def setup(app: Sphinx) -> None:
    app.add_directive("help", Help)
