"""The command `assay`: verify, run again, witness and monitor; make keys, sign and publish."""

from __future__ import annotations

import typer

from assay.cli import (
    capsule,
    compare,
    fsck,
    key,
    keygen,
    mirror,
    monitor,
    push,
    replay,
    sign,
    trace,
    trust,
    verify,
    witness,
)

app = typer.Typer(
    help="Check the answers of machine-learning models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(verify.verify)
app.command()(replay.replay)
app.command()(trace.trace)
app.command()(compare.compare)
app.add_typer(capsule.app, name="capsule")
app.command()(monitor.monitor)
app.command("split-view")(monitor.split_view)
app.command()(mirror.mirror)
app.command()(fsck.fsck)
app.add_typer(trust.app, name="trust")
app.command()(keygen.keygen)
app.command()(sign.sign)
app.command()(push.push)
app.add_typer(key.app, name="key")
app.add_typer(witness.app, name="witness")
