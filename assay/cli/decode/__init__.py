"""What a file is, and what is in it, for people: every format of the ledger, decoded and unchecked.

A decoder takes bytes and returns what JSON can carry, in the words of the format. It goes through
the strict parser of the format: what is shown as a receipt is one that `assay verify` could read.
Private keys are told from public ones and never shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from assay.cli.decode import claims, keyfiles, logs, models
from assay.cli.decode.sniff import sniff
from assay.errors import MisuseError

Decoder = Callable[[bytes], dict[str, Any]]

# By the name that `--type` takes, in the order of the documents.
DECODERS: dict[str, Decoder] = {
    "bundle": claims.bundle,
    "envelope": claims.envelope,
    "compact": claims.compact,
    "statement": claims.statement,
    "entry": claims.entry,
    "note": logs.note,
    "checkpoint": logs.checkpoint,
    "cosignatures": logs.cosignatures,
    "tlog-proof": logs.tlog_proof,
    "split-view": logs.split_view,
    "tile": logs.tile,
    "entries": logs.entries,
    "vkey": logs.vkey,
    "policy": logs.policy,
    "trusted-root": logs.trusted_root,
    "signing-config": logs.signing_config,
    "keys": logs.keys,
    "key": keyfiles.key,
    "manifest": models.manifest,
    "runtimes": models.runtimes,
    "tensors": models.tensors,
    "onnx": models.onnx,
    "trace": models.trace,
    "capsule": models.capsule,
}


def decode(data: bytes, kind: str) -> tuple[str, dict[str, Any]]:
    """Return what `data` is, a name of `DECODERS`, and what is in it; `kind` `""`: find out.

    Raises:
        MisuseError: a kind that is unknown here, or bytes of which nobody can tell what they are.
        FormatError: it looks like one of the kinds, or was said to be, and is malformed.
        VerificationError: it is of a sort of its kind that is not taken here.
    """
    name = kind or sniff(data)
    if name not in DECODERS:
        raise MisuseError(f"--type is one of {', '.join(DECODERS)}")
    return name, DECODERS[name](data)
