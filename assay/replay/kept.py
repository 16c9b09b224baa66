"""One Node for many runs of one graph: starting it, and loading the model, happen once.

A kept process is a shared one, and a model is a stranger's: what a hostile graph leaves behind in
the runtime's memory must not reach another model's replay. So the process ends when another graph
comes, and after each failure. Whoever is about to accuse somebody runs the job again in a process
of its own (`NodeRunner`).
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from assay.errors import FormatError, UnavailableError
from assay.replay.job import Job
from assay.replay.node import HEADER_BYTES, RUN_S, prepare, read_head, render_job
from assay.tensors import Tensor

_TAIL = 500
_END_S = 1.0  # for a process that closed its output to end


class KeptNode:
    """A `Runner` whose process lives on while the graph stays the same. Close it, or use `with`.

    `files` are the runtime's, their digests checked; `timeout_s` bounds each job.
    """

    def __init__(self, *, node: Path, files: Mapping[str, bytes], timeout_s: float = RUN_S) -> None:
        self._node = node
        self._files = files
        self._timeout_s = timeout_s
        self._child: _Child | None = None
        self._loaded = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process, if there is one."""
        child, self._child = self._child, None
        if child is not None:
            child.end()

    def run(self, job: Job) -> list[Tensor]:
        """Return every output of the graph; UnavailableError when it could not be run."""
        key = _key(job)
        again = self._child is not None and key == self._loaded
        if not again:
            self.close()
            self._child, self._loaded = _Child(self._node, self._files), key
        try:
            return self._ask(render_job(job, again=again))
        except BaseException:
            self.close()
            raise

    def _ask(self, request: bytes) -> list[Tensor]:
        child = self._child
        assert child is not None  # noqa: S101 (run has just made it)
        with child.until(self._timeout_s):
            try:
                return child.ask(request)
            except (FormatError, OSError) as error:
                child.check()  # that it died says more
                raise UnavailableError(f"the runtime's answer makes no sense: {error}") from error


def _key(job: Job) -> bytes:
    """Return a digest of all that a session is made of."""
    runtime = job.runtime
    whole = hashlib.sha256(f"{runtime.digest} {runtime.level} {runtime.threads}\n".encode())
    for name, data in (("", job.graph), *job.external.items()):
        whole.update(f"{name!r} {len(data)}\n".encode())
        whole.update(data)
    return whole.digest()


class _Child:
    """One Node and its folder."""

    def __init__(self, node: Path, files: Mapping[str, bytes]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="assay-replay-")
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `end`)
        self._late = 0.0
        try:
            command = prepare(Path(self._folder.name).resolve(), node, files)
            self._process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 (the reader's)
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                env={},
            )
        except OSError as error:
            self._tidy()
            raise UnavailableError(f"cannot run {node}: {error.strerror}") from error
        except BaseException:
            self._tidy()
            raise

    def _tidy(self) -> None:
        self._complaints.close()
        self._folder.cleanup()

    def end(self) -> None:
        """Kill the process and remove its folder."""
        self._process.kill()
        with suppress(OSError), self._process:
            pass  # closes the pipes, where an unread job may lie, and waits
        self._tidy()

    @contextmanager
    def until(self, timeout_s: float) -> Iterator[None]:
        """Kill the process when the block takes longer."""
        timer = threading.Timer(timeout_s, self._kill, [timeout_s])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _kill(self, timeout_s: float) -> None:
        self._late = timeout_s
        self._process.kill()

    def ask(self, request: bytes) -> list[Tensor]:
        """Send a job and return its outputs.

        Raises:
            UnavailableError: the runtime refused the model.
            FormatError, OSError: there was no answer, or none that makes sense.
        """
        given, told = _pipes(self._process)
        given.write(request)
        given.flush()
        line = told.readline(HEADER_BYTES)
        if not line.endswith(b"\n"):
            raise FormatError("it has no header")
        return [item.tensor(_whole(told, item.size)) for item in read_head(line[:-1])]

    def check(self) -> None:
        """Say how the process ended, if it did.

        Raises:
            UnavailableError: it is gone.
        """
        if self._late:
            raise UnavailableError(f"Node has not finished after {self._late:g} s")
        try:
            code = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            return
        self._complaints.seek(0)
        tail = self._complaints.read().decode("utf-8", "replace").strip()[-_TAIL:]
        raise UnavailableError(f"Node ended with {code}: {tail}")


def _pipes(process: subprocess.Popen[bytes]) -> tuple[Any, Any]:
    return process.stdin, process.stdout


def _whole(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise FormatError("the last output is cut off")
    return data
