"""Sphinx: `make docs`."""

from __future__ import annotations

import doctest

project = "Assay"
author = "The Assay maintainers"
copyright = "The Assay maintainers, Apache-2.0"
extensions = ["myst_parser", "sphinx.ext.doctest"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "Assay"
myst_heading_anchors = 3
myst_enable_extensions = ["deflist"]
# Python prompts in the pages are run: by `sphinx -b doctest`, and by tests/docs in `make test`.
doctest_test_doctest_blocks = ""
doctest_default_flags = doctest.ELLIPSIS
