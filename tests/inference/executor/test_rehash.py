"""What runs is what was hashed: model files from a lying web process, runtime files on the disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assay.dsse import parse_compact
from assay.receipt import execution_of
from assay.statements import Runtime, parse_statement
from inference.client import ExecutorError
from inference.executor.counters import Counters
from inference.executor.limits import Limits
from inference.executor.pool import Pool
from inference.executor.programs import Portable
from inference.executor.runtime import FILES, load_runtime
from inference.executor.spawn import Jail, Spawner
from tests.inference.executor.models import Revision, add, external, floats, network, sha
from tests.inference.executor.running import (
    RUNTIME,
    Running,
    children_of,
    program,
    start_supervisor,
)


class Changing:
    """A program one of whose files changes between the first look and the start."""

    shared = True

    def __init__(self, stock: Portable, name: str) -> None:
        self._stock = stock
        self._path = stock.folder / name

    def command(self) -> list[str]:
        with self._path.open("ab") as file:
            file.write(b"\n")
        return self._stock.command()

    def jail(self, cpu_s: int | None = None) -> Jail:
        return self._stock.jail(cpu_s)

    def runtime(self) -> Runtime:
        return self._stock.runtime()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "runtime"
    shutil.copytree(RUNTIME, folder)
    return folder


def test_a_runtime_that_changes_under_a_running_process_is_not_what_runs(copy: Path) -> None:
    running = start_supervisor(arguments=["--runtime", str(copy), "--slots", "1"])
    for path in copy.iterdir():
        path.write_bytes(b"throw new Error('mallory was here');")
    revision = Revision.of(network())
    asked = revision.request(running.log.checkpoint(), floats("x", *[0.3] * 64, shape=(1, 64)))
    answer = running.client().infer(asked, revision.read)
    statement = execution_of(parse_statement(parse_compact(answer.envelope).payload))
    assert statement.runtime == load_runtime(RUNTIME)
    running.stop()


@pytest.mark.parametrize("name", FILES)
def test_a_runtime_that_changes_while_a_process_starts_is_refused(copy: Path, name: str) -> None:
    stock = Portable(node=program().node, folder=copy)
    spawner = Spawner()
    pool = Pool(
        Changing(stock, name),
        stock.runtime(),
        spawner,
        slots=1,
        limits=Limits(),
        counters=Counters(),
    )
    before = children_of(os.getpid())
    assert pool._start_host() is None
    assert children_of(os.getpid()) == before
    spawner.close()


@pytest.mark.parametrize("name", ["model.onnx", "weights.bin"])
@pytest.mark.parametrize(("operation", "length"), [("infer", 1), ("load", 2), ("warm", 3)])
def test_a_lying_web_process_is_caught_at_each_file_and_operation(
    lied_to: Running, name: str, operation: str, length: int
) -> None:
    # Files that no other case has sent.
    weights = floats("w", *[1] * (2 * length + len(name) % 2)).data
    files = {"model.onnx": external(weights), "weights.bin": weights}
    revision = Revision(files, external=("weights.bin",))
    client = lied_to.client()
    revision.blobs[sha(files[name])] = bytes(len(files[name]))
    asked = revision.request(lied_to.log.checkpoint(), floats("x", 1))
    operations: dict[str, Callable[[], object]] = {
        "infer": lambda: client.infer(asked, revision.read),
        "load": lambda: client.load(revision.target, revision.read),
        "warm": lambda: client.warm(revision.target, revision.read),
    }
    with pytest.raises(ExecutorError, match="not those of the digest") as caught:
        operations[operation]()
    assert caught.value.code == "bad_input"
    assert client.status().models == ()


@pytest.fixture(scope="module")
def lied_to() -> Iterator[Running]:
    """A supervisor that has none of these files."""
    running = start_supervisor(arguments=["--slots", "1"])
    yield running
    running.stop()


def test_a_lie_about_which_file_is_the_graph_is_in_the_statement(supervisor: Running) -> None:
    """The web process names files by digest; what was loaded is what the statement says."""
    revision = Revision({"model.onnx": add(), "other.onnx": network()})
    asked = revision.request(supervisor.log.checkpoint(), floats("x", 1))
    answer = supervisor.client().infer(asked, revision.read)
    statement = execution_of(parse_statement(parse_compact(answer.envelope).payload))
    assert statement.graph.sha256 == sha(add())
    assert revision.asked in ([sha(add())], [])
