"""The command `assay`: verify, run again, witness and monitor; make keys, sign and publish.

`COMMANDS` says where each command lives; a module is imported when its command is called, or when
`--help` asks for all of them. A command is a function in typer's form, or an `app` of typer with
commands of its own.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assay.cli.group import app

__all__ = ["COMMANDS", "app", "main"]

# In the order in which `assay --help` lists them: name, and module:function or module:app.
COMMANDS = {
    "verify": "assay.cli.verify:verify",
    "run": "assay.cli.run:run",
    "pull": "assay.cli.pull:pull",
    "inspect": "assay.cli.inspect:inspect",
    "page": "assay.cli.page:page",
    "replay": "assay.cli.replay:replay",
    "trace": "assay.cli.trace:trace",
    "compare": "assay.cli.compare:compare",
    "capsule": "assay.cli.capsule:app",
    "audit": "assay.cli.audit:audit",
    "monitor": "assay.cli.monitor:monitor",
    "split-view": "assay.cli.monitor:split_view",
    "mirror": "assay.cli.mirror:mirror",
    "fsck": "assay.cli.fsck:fsck",
    "trust": "assay.cli.pinning:app",
    "keygen": "assay.cli.keygen:keygen",
    "sign": "assay.cli.sign:sign",
    "push": "assay.cli.push:push",
    "key": "assay.cli.key:app",
    "witness": "assay.cli.witness:app",
}


def main() -> None:
    """Run the command line; the console script `assay`.

    `assay verify` with plain arguments does without typer; all else goes through it.
    """
    if sys.argv[1:2] == ["verify"]:
        from assay.cli.light import answer

        answer(sys.argv[2:])
    from assay.cli.group import app

    app()


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module 'assay.cli' has no attribute {name!r}")
    return import_module("assay.cli.group").app
