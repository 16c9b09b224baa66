"""The command `assay`: verify receipts, run executions again, witness logs."""

from __future__ import annotations

import typer

from assay.cli import replay, trust, verify, witness

app = typer.Typer(
    help="Check the answers of machine-learning models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(verify.verify)
app.command()(replay.replay)
app.add_typer(trust.app, name="trust")
app.add_typer(witness.app, name="witness")
