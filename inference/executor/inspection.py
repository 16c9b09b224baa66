"""`inspect`: the jailed walk, the jailed checker, then a load and one trial run, each alone.

`sketch`: the jailed walk again, for the skeleton that a page draws.

Every step runs in a fresh process that is killed at its limit; the first failure ends the
inspection. Only the trial run flags instead of refusing: a model that cannot be run on zeros may
still be worth publishing.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from assay.digests import sha256_hex
from inference.executor.hosts import (
    Host,
    HostDiedError,
    ModelBytes,
    ModelError,
    printable,
)
from inference.executor.limits import LOAD_MEMORY, SLOT_WAIT_S, Limits
from inference.executor.programs import Program
from inference.executor.protocol import (
    DeadlinePassedError,
    Frame,
    ProtocolError,
    RefusalError,
    send,
)
from inference.executor.spawn import Jail, Spawner
from inference.executor.trial import zero_run

Blobs = Callable[[str], bytes | None]
Report = dict[str, Any]


class NeedError(Exception):
    """Files are missing here; `digests` says which."""

    def __init__(self, digests: Sequence[str]) -> None:
        super().__init__("files are missing")
        self.digests = list(digests)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What is inspected: an ONNX file, its path, and the revision's other files."""

    graph: str
    data: bytes
    files: dict[str, tuple[int, str]]  # path -> size in bytes, SHA-256

    @classmethod
    def read(cls, request: Frame) -> Upload:
        """Read the request.

        Raises:
            RefusalError: bad_input.
        """
        graph = request.header.get("graph")
        files: dict[str, tuple[int, str]] = {}
        for item in request.header.get("files") or []:
            match item:
                case {"name": str(name), "size": int(size), "sha256": str(sha256)}:
                    files[name] = (size, sha256)
                case _:
                    raise RefusalError("bad_input", "a file has a name, a size and a SHA-256")
        if not isinstance(graph, str):
            raise RefusalError("bad_input", "the request has no graph")
        return cls(graph=graph, data=request.tail, files=files)


class Inspector:
    """Runs inspections, one at a time: each may take a whole machine."""

    def __init__(self, program: Program, spawner: Spawner, limits: Limits) -> None:
        self._program = program
        self._spawner = spawner
        self._limits = limits
        self._lock = threading.Lock()
        self._sketching = threading.Lock()  # readers wait here, and never for an inspection

    def inspect(self, request: Frame, blobs: Blobs) -> Report:
        """Return `{"verdict", "findings", "facts", "trial"}`.

        `verdict` is passed, flagged or failed; `facts` are null when the file could not be read,
        `trial` when nothing was loaded.

        Raises:
            RefusalError: bad_input, unavailable.
            NeedError: external data that has to be sent first.
        """
        upload = Upload.read(request)
        with self._lock:
            sizes = {name: size for name, (size, _) in upload.files.items()}
            walked = self._child("walk", upload.data, {"graph": upload.graph, "files": sizes})
            findings: list[dict[str, str]] = walked["findings"]
            facts = walked["facts"]
            if facts is None:
                return _report(findings, None, None)
            model = _model_bytes(upload, facts["external"], blobs)
            findings += self._child("check", upload.data, {})["findings"]
            if _failed(findings) or walked["native"]:
                return _report(findings, facts, None)
            trial = self.trial(model)
        return _report(findings + trial.pop("findings"), facts, trial)

    def sketch(self, request: Frame, blobs: Blobs) -> Report:
        """Return `{"skeleton", "reason"}` of the graph with the SHA-256 in the request.

        Raises:
            RefusalError: bad_input; busy: others are waiting for theirs.
            NeedError: the graph has to be sent first.
        """
        match request.header.get("sha256"):
            case str(sha256):
                data = blobs(sha256)
            case _:
                raise RefusalError("bad_input", "the request names no graph")
        if data is None:
            raise NeedError([sha256])
        if not self._sketching.acquire(timeout=SLOT_WAIT_S):
            raise RefusalError("busy", "another graph is being read", retry=True)
        try:
            answer = self._child("sketch", data, {})
        finally:
            self._sketching.release()
        if "skeleton" in answer:
            return answer
        return {"skeleton": None, "reason": answer["findings"][0]["remedy"]}

    def trial(self, model: ModelBytes) -> Report:
        """Load `model` in a fresh process and run it once on zeros.

        Returns `{"load_ms", "run_ms", "ok", "reason", "findings"}`.

        Raises:
            RefusalError: unavailable: no process can be started.
        """
        cpu_s = math.ceil(self._limits.load_cpu_s + self._limits.trial_s)
        try:
            host = Host.start(self._spawner, self._program, cpu_s)
        except (HostDiedError, OSError) as error:
            raise RefusalError(
                "unavailable", "no process for the trial starts", retry=True
            ) from error
        result: Report = {"load_ms": None, "run_ms": None, "ok": False, "reason": ""}
        try:
            finding = self._try(host, model, result)
        finally:
            host.child.kill()
        if finding is not None:
            result["reason"] = finding["remedy"]
        return {**result, "findings": [finding] if finding else []}

    def _try(self, host: Host, model: ModelBytes, result: Report) -> dict[str, str] | None:
        begun = time.monotonic()
        try:
            loaded = host.load(model, begun + self._limits.load_s)
        except (ModelError, HostDiedError) as error:
            late = time.monotonic() - begun > self._limits.load_cpu_s * 0.9
            return _finding("load", error, late=late, level="failed")
        result["load_ms"] = round((time.monotonic() - begun) * 1000, 1)
        try:
            zeros, names = zero_run(loaded)
        except RefusalError as error:
            words = error.message
            return {"code": "run_failed", "place": "trial", "remedy": words, "level": "flag"}
        begun = time.monotonic()
        try:
            host.run(model.key, zeros, names, begun + self._limits.trial_s)
        except (ModelError, HostDiedError) as error:
            late = time.monotonic() - begun > self._limits.trial_s * 0.9
            return _finding("run", error, late=late, level="flag")
        result["run_ms"] = round((time.monotonic() - begun) * 1000, 1)
        result["ok"] = True
        return None

    def _child(self, step: str, data: bytes, header: dict[str, Any]) -> Report:
        """Run one step of `inference.executor.inspect` in its jail."""
        program = [sys.executable, "-m", "inference.executor.inspect", step]
        jail = Jail(cpu_s=self._limits.load_cpu_s, memory=LOAD_MEMORY + 4 * len(data))
        child = self._spawner.start(program, jail)
        child.stream.deadline = time.monotonic() + self._limits.load_s
        try:
            send(child.connection, Frame(header=header, tail=data))
            answer = child.stream.frame(0).header
            if "error" not in answer:
                return answer
            words = "it needs more memory than an inspection may have"
        except DeadlinePassedError:
            words = "it takes more time than an inspection may take"
        except ProtocolError:
            words = "it ended the process that looked at it"
        finally:
            child.kill()
        code = "limits" if step == "walk" else "checker"
        finding = {"code": code, "place": "model", "remedy": words, "level": "failed"}
        return {"findings": [finding], "facts": None, "native": False}


def _model_bytes(upload: Upload, external: Sequence[str], blobs: Blobs) -> ModelBytes:
    folder = len(upload.graph.rpartition("/")[0])
    found = {name: blobs(upload.files[name][1]) for name in external}
    missing = [upload.files[name][1] for name, data in found.items() if data is None]
    if missing:
        raise NeedError(missing)
    parts = [(name[folder:].lstrip("/"), data) for name, data in found.items() if data is not None]
    return ModelBytes(key=sha256_hex(upload.data), graph=upload.data, external=tuple(parts))


def _report(findings: list[dict[str, str]], facts: Any, trial: Any) -> Report:
    levels = {finding["level"] for finding in findings}
    verdict = "failed" if "failed" in levels else "flagged" if "flag" in levels else "passed"
    shown = [{**finding, "remedy": printable(finding["remedy"])} for finding in findings]
    return {"verdict": verdict, "findings": shown, "facts": facts, "trial": trial}


def _failed(findings: list[dict[str, str]]) -> bool:
    return any(finding["level"] == "failed" for finding in findings)


def _finding(
    phase: str, error: ModelError | HostDiedError, *, late: bool, level: str
) -> dict[str, str]:
    if isinstance(error, HostDiedError):
        crash = "load_crash" if phase == "load" else "run_failed"
        code = f"{phase}_time" if late or error.late else crash
        words = "it ended the process"
    else:
        codes = {"memory": f"{phase}_memory", "deadline": f"{phase}_time"}
        code = codes.get(error.code, f"{phase}_failed")
        words = error.message
    if code.endswith("_time"):
        words = "it takes too long"
    if code.endswith("_memory"):
        words = "it needs more memory than a model may have"
    return {"code": code, "place": "trial", "remedy": words, "level": level}
