"""What a jailed process may not do, tried by a program that wants to."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inference.executor.hosts import Host, HostDiedError
from inference.executor.programs import SCRIPT, Portable
from inference.executor.protocol import ConnectionEndedError, ProtocolError
from inference.executor.spawn import Child, Jail, Spawner
from tests.inference.executor.running import ROOT, is_running, program, wait_until

PYTHON = r"""
import json, os, resource, socket, struct, sys
def tried(action):
    try:
        action()
    except (OSError, MemoryError) as error:
        return type(error).__name__
    return "done"
with_network = socket.socket()
outbound = lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))
report = {
    "read": tried(lambda: open("/etc/passwd").read()),
    "list": tried(lambda: os.listdir("/")),
    "write": tried(lambda: open("PLACE", "w")),
    "tcp": tried(lambda: with_network.connect(("127.0.0.1", 9))),
    "udp": tried(outbound),
    "run": tried(lambda: os.execv("/bin/sh", ["sh", "-c", "exit"])),
    "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    "size": resource.getrlimit(resource.RLIMIT_FSIZE)[0],
    "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
    "cpu": resource.getrlimit(resource.RLIMIT_CPU)[0],
    "memory": tried(lambda: bytearray(2**31)),
    "environment": sorted(os.environ),
}
text = json.dumps(report).encode()
os.write(0, struct.pack(">II", 4 + len(text), len(text)) + text)
os.read(0, 1)
"""

NODE = """
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync, writeSync } from "node:fs";
import { connect } from "node:net";

function tried(action) {
  try {
    action();
    return "done";
  } catch (error) {
    return error.code;
  }
}
const report = {
  read: tried(() => readFileSync("/etc/passwd")),
  own: tried(() => readFileSync(new URL(import.meta.url))),
  write: tried(() => writeFileSync("written", "x")),
  run: tried(() => execFileSync("/bin/true")),
  environment: Object.keys(process.env).sort(),
};
const client = connect(9, "127.0.0.1");
client.on("connect", () => answer("done"));
client.on("error", (error) => answer(error.code));
function answer(tcp) {
  const text = Buffer.from(JSON.stringify({ ...report, tcp }));
  const prefix = Buffer.alloc(8);
  prefix.writeUInt32BE(4 + text.length, 0);
  prefix.writeUInt32BE(text.length, 4);
  writeSync(0, Buffer.concat([prefix, text]));
}
"""
ENVIRONMENT = {"LANG", "OPENBLAS_NUM_THREADS", "OPENSSL_CONF", "UV_THREADPOOL_SIZE"}
ENVIRONMENT |= {"ORT_DISABLE_TELEMETRY", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH"}


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    made = Spawner()
    yield made
    made.close()


def answer_of(child: Child) -> dict[str, Any]:
    try:
        return child.stream.frame(0).header
    finally:
        child.kill()


def needs(spawner: Spawner, *names: str) -> None:
    layers = spawner.layers(Jail(readable=(Path("/usr"),)))
    missing = [name for name in names if not layers[name]]
    if missing:
        pytest.skip(f"this machine has no {', '.join(missing)}")


def test_a_jailed_python_reaches_nothing(spawner: Spawner, tmp_path: Path) -> None:
    needs(spawner, "network", "landlock")
    readable = tuple(
        Path(name) for name in (sys.prefix, sys.base_prefix, "/lib", "/lib64", "/usr/lib")
    )
    jail = Jail(cpu_s=5, memory=2**30, readable=readable)
    code = PYTHON.replace("PLACE", str(tmp_path / "written"))
    report = answer_of(spawner.start([sys.executable, "-S", "-c", code], jail))
    assert report["read"] == report["list"] == report["write"] == "PermissionError"
    assert report["run"] == "PermissionError"
    assert report["tcp"] in {"PermissionError", "OSError"}
    assert report["udp"] == "OSError"
    assert report["memory"] == "MemoryError"
    limits = {"files": 128, "size": 0, "core": 0, "cpu": 5}
    assert {name: report[name] for name in limits} == limits
    assert set(report["environment"]) - {"LC_CTYPE"} <= ENVIRONMENT
    assert not tmp_path.joinpath("written").exists()


def test_a_model_process_reaches_nothing(spawner: Spawner, tmp_path: Path) -> None:
    needs(spawner, "network", "landlock")
    script = tmp_path / "probe.mjs"
    script.write_text(NODE)
    stock = program()
    probe = Portable(node=stock.node, folder=stock.folder, script=script)
    report = answer_of(spawner.start(probe.command(), probe.jail()))
    assert report["own"] == "done"
    assert report["read"] == report["write"] == report["run"] == "ERR_ACCESS_DENIED"
    assert report["tcp"] in {"EACCES", "ENETUNREACH"}
    assert set(report["environment"]) <= ENVIRONMENT


def test_a_jailed_process_dies_when_its_starter_does() -> None:
    spawner = Spawner()
    code = "import os; os.write(0, b'x'); os.read(0, 1); os.read(0, 1)"
    child = spawner.start([sys.executable, "-S", "-c", code], Jail())
    assert child.connection.recv(1) == b"x"
    assert is_running(child.process.pid)
    spawner.close()  # its thread ends
    wait_until(lambda: not is_running(child.process.pid), limit_s=5)
    child.kill()


def test_a_launcher_whose_parent_is_gone_starts_nothing(spawner: Spawner) -> None:
    command = Jail().arguments()
    command[command.index("--parent") + 1] = "1"
    child = spawner._start([*command, "--", "/bin/cat"])
    with pytest.raises((ConnectionEndedError, ProtocolError)):
        child.stream.frame(0)
    assert child.process.wait(5) == 1
    child.kill()


def test_the_host_script_reads_nothing_but_its_own_files() -> None:
    command = program().command()
    allowed = [word for word in command if word.startswith("--allow")]
    runtime = program().folder
    assert allowed == [
        f"--allow-fs-read={runtime}/*",
        f"--allow-fs-read={SCRIPT.parent}/*",
        f"--allow-fs-read={ROOT}/assay/replay/tensors.mjs",
        "--allow-worker",
    ]
    assert SCRIPT.is_relative_to(ROOT / "inference" / "executor" / "portable")


@pytest.mark.parametrize("absent", ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs"])
def test_a_process_that_cannot_read_its_own_runtime_blames_no_model(
    spawner: Spawner, tmp_path: Path, absent: str
) -> None:
    whole = program()
    for path in whole.folder.iterdir():
        if path.name != absent:
            shutil.copy(path, tmp_path)
    with pytest.raises(HostDiedError):
        Host.start(spawner, replace(whole, folder=tmp_path))
