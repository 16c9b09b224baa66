"""Every parser of `assay`, given bytes that nobody meant.

`targets` lists the parsers and how each prints what it read. Hypothesis bends honest artefacts in
`tests/assay/test_fuzz.py`; `python -m tests.fuzz TARGET` lets atheris search, guided by coverage,
where that is installed.
"""

from __future__ import annotations
