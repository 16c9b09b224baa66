"""One execution of an audit, from its entry in the log to a signed statement.

1. The receipt is fetched and verified with the pinned keys, root and policy, as `assay verify`
   does it. It is this entry's: the index and the statement are those that the log holds.
2. Its checkpoint and the round's are one history.
3. Graph, external data and input are fetched and compared with the signed digests. So is the
   claimed output, which tells which outputs were asked for.
4. It runs, in a process that other runs of the same graph share. Before anybody is accused, or a
   model is called unrunnable, it runs again in a process of its own.
5. Where the bits differ, evidence is gathered (`audit_blame`).
6. The auditor's key signs what a run found.

What is answered to be absent, or is not for this reader, is `unchecked`, and said. What contradicts
what was signed is `refused`. Silence is neither: it is raised, and asked again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from assay.audit import (
    DIVERGED,
    REFUSED,
    UNCHECKED,
    UNRUNNABLE,
    Drawn,
    Result,
    replay_statement,
)
from assay.cli.audit_blame import Case, gather
from assay.cli.audit_journal import Journal
from assay.cli.audit_round import History
from assay.cli.audit_site import Site
from assay.cli.output import plain
from assay.cli.remember import LostStateError
from assay.cli.trust import Trust
from assay.digests import sha256_hex
from assay.dsse import public_key_of, sign
from assay.errors import (
    FormatError,
    MissingError,
    SplitViewError,
    UnavailableError,
    VerificationError,
)
from assay.fetch import DeniedError
from assay.policy import NO_QUORUM
from assay.receipt import Receipt, parse_receipt
from assay.replay import (
    KNOWN_RUNTIMES,
    KeptNode,
    NodeRunner,
    Replay,
    Runner,
    files_from_folder,
    files_from_registry,
    material_from_registry,
    replay as run_again,
)
from assay.statements import Observed, Runtime, render
from assay.verify import TrustedKey, Verified, verify_receipt

_REASON = 2_000
_PLACE = 1_000


class _UncheckedError(Exception):
    """It cannot be audited, for a reason that asking again will not mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """With what executions are audited: the reader's trust, Node, a folder of runtime files, a key.

    `runtime` None takes the files of known runtimes from the registry; `key` None signs nothing.
    """

    trust: Trust
    node: Path
    runtime: Path | None
    key: ec.EllipticCurvePrivateKey | None


class Worker:
    """Audits executions one by one, under one Node as long as the graph is the same."""

    def __init__(self, site: Site, means: Means, journal: Journal, stop: threading.Event) -> None:
        self._site = site
        self._means = means
        self._journal = journal
        self._stop = stop
        self._files: dict[str, dict[str, bytes]] = {}
        self._kept: KeptNode | None = None
        self._kept_for = ""

    def close(self) -> None:
        """End the process that is kept; the next audit starts another."""
        if self._kept is not None:
            self._kept.close()

    def audit(self, drawn: Drawn, history: History) -> Result:
        """Return what comes of an execution.

        Raises:
            UnavailableError: silence; LostStateError: evidence could not be kept.
            ForkError: the receipt's checkpoint and the round's are two histories.
        """
        try:
            return self._audit(drawn, history)
        except (_UncheckedError, MissingError, DeniedError) as error:
            outcome, reason = UNCHECKED, str(error)
        except SplitViewError:
            raise
        except (FormatError, VerificationError) as error:
            outcome, reason = REFUSED, str(error)
        return Result(index=drawn.index, outcome=outcome, reason=plain(reason)[:_REASON])

    def _audit(self, drawn: Drawn, history: History) -> Result:
        if not drawn.execution:
            raise FormatError(f"entry {drawn.index} tells of an execution, and not in its form")
        data = self._site.receipt(drawn.execution)
        receipt, verified = self._verify(data, drawn)
        history.check(verified.checkpoint)
        predicate = receipt.predicate
        if "commitment" in (predicate.input.form, predicate.output.form):
            raise _UncheckedError("a private execution: only its caller has the salts")
        files = self._runtime_files(predicate.runtime)
        material = material_from_registry(predicate, self._site)
        claimed = self._claimed(receipt)
        case = Case(
            receipt=data,
            predicate=predicate,
            material=material,
            claimed=claimed,
            runner=NodeRunner(node=self._means.node, files=files),
        )
        result = self._replay(case, self._kept_runner(predicate.runtime, files))
        if result.verdict in (DIVERGED, UNRUNNABLE):
            result = self._replay(case, case.runner)
        return self._concluded(drawn, history, case, result)

    # ------------------------------------------------------------------ the receipt

    def _verify(self, data: bytes, drawn: Drawn) -> tuple[Receipt, Verified]:
        receipt = parse_receipt(data)
        trust = self._means.trust
        # The log's entry says who signed; a hint in a receipt is anybody's.
        known = {one.key.fingerprint: one for one in trust.keys.keys}
        key = known.get(drawn.signer)
        if key is None:
            words = "`assay trust init` again pins the keys that were registered since"
            raise _UncheckedError(f"signed by {drawn.signer}, which is not pinned here: {words}")
        verified = self._verified(data, key)
        pairs = (
            ("statement", drawn.statement, verified.envelope.pae_sha256.hex()),
            ("index", str(drawn.index), str(verified.index)),
        )
        for what, expected, found in pairs:
            if expected != found:
                raise VerificationError(
                    f"the receipt has another {what} than the log's entry",
                    expected=expected,
                    found=found,
                )
        return receipt, verified

    def _verified(self, data: bytes, key: TrustedKey) -> Verified:
        """Verify a receipt; one whose witnesses have not answered yet is asked for again.

        Raises:
            UnavailableError: it is good but for the quorum, which a busy log reaches later.
        """
        trust = self._means.trust
        policy, root = trust.policy, trust.trusted_root
        try:
            return verify_receipt(data, key=key, trusted_root=root, policy=policy)
        except VerificationError:
            verify_receipt(
                data, key=key, trusted_root=root, policy=replace(policy, quorum=NO_QUORUM)
            )
        raise UnavailableError("the receipt's tree has no quorum of witnesses yet")

    # ------------------------------------------------------------------ the run

    def _runtime_files(self, runtime: Runtime) -> dict[str, bytes]:
        files = self._files.get(runtime.digest)
        if files is not None:
            return files
        named = f"{runtime.name} {runtime.version} ({runtime.digest})"
        if self._means.runtime is not None:
            try:
                files = files_from_folder(runtime, self._means.runtime)
            except (FormatError, VerificationError, UnavailableError) as error:
                # The reader's folder is another runtime's: that accuses nobody.
                raise _UncheckedError(f"--runtime has not the files of {named}: {error}") from error
        elif runtime.digest not in KNOWN_RUNTIMES:
            raise _UncheckedError(
                f"the {runtime.kind} runtime {named} is not known here: get its files from a "
                "source you trust and name the folder with --runtime"
            )
        else:
            files = files_from_registry(runtime, self._site)
        self._files[runtime.digest] = files
        return files

    def _kept_runner(self, runtime: Runtime, files: dict[str, bytes]) -> KeptNode:
        if self._kept is None or self._kept_for != runtime.digest:
            self.close()
            self._kept = KeptNode(node=self._means.node, files=files)
            self._kept_for = runtime.digest
        return self._kept

    def _claimed(self, receipt: Receipt) -> bytes | None:
        """Return the claimed output; None where it is not to be had."""
        try:
            data = self._site.tensors(receipt.predicate.execution, "output")
        except (MissingError, DeniedError):
            return None
        found, expected = sha256_hex(data), receipt.predicate.output.sha256
        if found != expected:
            words = "the output that is served is not the one that was signed"
            raise VerificationError(words, expected=expected, found=found)
        return data

    def _replay(self, case: Case, runner: Runner) -> Replay:
        return run_again(case.predicate, case.material, runner, claimed_output=case.claimed)

    # ------------------------------------------------------------------ the end

    def _concluded(self, drawn: Drawn, history: History, case: Case, result: Replay) -> Result:
        if result.verdict == DIVERGED and case.claimed is None and not case.alone(result):
            raise _UncheckedError(
                "the replay has other bits than were signed; but the output is not served, so "
                "nobody can tell which outputs were asked for"
            )
        found = Result(
            index=drawn.index,
            outcome=result.verdict,
            reason=plain(result.reason)[:_REASON],
            claimed=result.claimed,
            found=result.found,
        )
        files: dict[str, bytes] = {}
        if result.verdict == DIVERGED:
            blamed = gather(case, result, self._site, self._stop)
            files = blamed.files
            place = plain(blamed.place)[:_PLACE] or None
            reason = plain("; ".join((result.reason, *blamed.notes)))[:_REASON]
            found = replace(found, reason=reason, first_divergence=place, basis=blamed.basis)
        found = self._signed(found, history, case)
        if files:
            if found.envelope is not None:
                files["statement.json"] = found.envelope.to_json()
            evidence = self._journal.keep(drawn.execution, files)
            found = replace(found, evidence=evidence)
        return found

    def _signed(self, found: Result, history: History, case: Case) -> Result:
        key = self._means.key
        if key is None:
            return found
        tree = history.now.checkpoint
        statement = replay_statement(
            case.predicate,
            parse_receipt(case.receipt).bundle.envelope.pae_sha256.hex(),
            Observed(origin=tree.origin, tree_size=tree.size, root_hash=tree.root.hex()),
            verdict=found.outcome,
            output=found.found,
            first_divergence=found.first_divergence,
        )
        envelope = sign(render(statement), key)
        fingerprint = public_key_of(key.public_key()).fingerprint
        return replace(found, envelope=envelope, key=fingerprint)


def patiently(
    worker: Worker, drawn: Drawn, history: History, retries: int, wait: Callable[[float], bool]
) -> Result | None:
    """Audit, and again after 1, 2, 4, … seconds of silence; None when told to end meanwhile."""
    pause_s = 1.0
    while True:
        try:
            return worker.audit(drawn, history)
        except LostStateError:
            raise
        except UnavailableError:
            if not retries:
                raise
        if wait(pause_s):
            return None
        retries, pause_s = retries - 1, pause_s * 2
