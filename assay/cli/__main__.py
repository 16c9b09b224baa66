"""`python -m assay.cli`, for where the console script is not on PATH."""

from __future__ import annotations

from assay.cli import main

main()
