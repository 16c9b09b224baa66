"""No key is readable from a model process: not its file, nobody's environment, no descriptor.

The first half looks at the real processes from outside; the second is a program in the place of the
model process, in the same jail, that wants the key.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inference.executor.programs import Native, Portable
from inference.executor.spawn import ENVIRONMENT, Spawner
from tests.inference.executor.models import Revision, add, floats
from tests.inference.executor.running import Running, program, start_supervisor
from tests.inference.executor.test_jail import answer_of, needs

SECRETS = {
    "SECRET_KEY": "a secret of the web",
    "DATABASE_URL": "postgresql://alice:a-password@localhost/assay",
    "EXECUTOR_KEY_FILE": "/a/path/to/a/key",
}

NODE = """
import { readdirSync, readFileSync, writeSync } from "node:fs";

const tried = (action) => {
  try {
    action();
    return "done";
  } catch (error) {
    return error.code;
  }
};
const report = {};
for (const path of PATHS) {
  report[path] = tried(() => readFileSync(path));
}
report.list = tried(() => readdirSync("PARENT/fd"));
const text = Buffer.from(JSON.stringify(report));
const prefix = Buffer.alloc(8);
prefix.writeUInt32BE(4 + text.length, 0);
prefix.writeUInt32BE(text.length, 4);
writeSync(0, Buffer.concat([prefix, text]));
"""

PYTHON = """
import ctypes, json, os, struct
from inference.executor.jail import landlock
libc = ctypes.CDLL(None, use_errno=True)
landlock([])  # as `inference.executor.native` does after its imports
def tried(action):
    try:
        action()
    except OSError as error:
        return type(error).__name__
    return "done"
def peek():
    buffer = ctypes.create_string_buffer(8)
    vector = struct.pack("PN", ctypes.addressof(buffer), 8)
    remote = struct.pack("PN", id(None), 8)
    if libc.process_vm_readv(PID, vector, 1, remote, 1, 0) < 0:
        raise OSError(ctypes.get_errno(), "no")
report = {path: tried(lambda: open(path, "rb").read(1)) for path in PATHS}
report["list"] = tried(lambda: os.listdir("PARENT/fd"))
report["peek"] = tried(peek)
text = json.dumps(report).encode()
os.write(0, struct.pack(">II", 4 + len(text), len(text)) + text)
os.read(0, 1)
"""


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """A supervisor in an environment full of secrets, with a process of each kind that has run."""
    with pytest.MonkeyPatch.context() as patch:
        for name, text in SECRETS.items():
            patch.setenv(name, text)
        started = start_supervisor(arguments=["--slots", "1", "--native-slots", "1"])
    revision, note = Revision.of(add()), started.log.checkpoint()
    for kind in ("portable", "native"):
        asked = revision.request(note, floats("x", 1), kind=kind, slot_wait_s=20)
        assert started.client().infer(asked, revision.read).outputs == (floats("y", 2),)
    yield started
    assert started.stop() == 0


def environment(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(line.split("=", 1) for line in lines if line)


def test_the_secrets_of_the_supervisor_are_in_no_model_process(running: Running) -> None:
    assert SECRETS.items() <= environment(running.process.pid).items()
    children = running.children()
    assert len(children) == 2
    for pid in children:
        found = environment(pid)
        assert found.keys() <= ENVIRONMENT.keys() | {"LC_CTYPE"}
        command = Path(f"/proc/{pid}/cmdline").read_text()
        assert not any(text in command + str(found) for text in SECRETS.values())
        assert "executor.pem" not in command


def test_a_model_process_inherits_one_socket_and_no_file(running: Running) -> None:
    for pid in running.children():
        sockets = []
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            target = str(entry.readlink())
            assert str(running.folder) not in target
            mode = entry.stat().st_mode
            if stat.S_ISSOCK(mode):
                sockets.append(entry.name)
            # Of files on a disk it has none open.
            assert not stat.S_ISREG(mode) or target.startswith(("anon_inode:", "/memfd:")), target
        assert sockets == ["0"]


def paths(running: Running) -> list[str]:
    key = running.folder / "executor.pem"
    assert key.read_bytes()  # whoever runs this test may read it
    parent = f"/proc/{os.getpid()}"
    return [
        *(str(key), f"{parent}/environ", f"{parent}/mem", f"{parent}/cmdline"),
        *(f"{parent}/root{key}", f"{parent}/cwd", "/proc/self/environ"),
        *(f"/proc/{running.process.pid}/environ", f"/proc/{running.process.pid}/mem"),
    ]


def probe(code: str, running: Running) -> str:
    text = code.replace("PATHS", str(paths(running)).replace("'", '"'))
    return text.replace("PARENT", f"/proc/{os.getpid()}").replace("PID", str(os.getpid()))


def test_a_portable_process_that_wants_the_key_does_not_get_it(
    running: Running, tmp_path: Path
) -> None:
    spawner = Spawner()
    needs(spawner, "network", "landlock")
    script = tmp_path / "thief.mjs"
    script.write_text(probe(NODE, running))
    thief = Portable(node=program().node, folder=program().folder, script=script)
    report = answer_of(spawner.start(thief.command(), thief.jail()))
    check(report, {"ERR_ACCESS_DENIED"})
    # Node's own permissions off: the jail denies it as well.
    command = [word for word in thief.command() if not word.startswith("--")]
    report = answer_of(spawner.start(command, thief.jail()))
    check(report, {"EACCES"})
    spawner.close()


def test_a_native_process_that_wants_the_key_does_not_get_it(running: Running) -> None:
    spawner = Spawner()
    needs(spawner, "network", "landlock")
    report = answer_of(
        spawner.start([sys.executable, "-c", probe(PYTHON, running)], Native().jail())
    )
    assert report.pop("peek") == "PermissionError"
    check(report, {"PermissionError"})
    spawner.close()


def check(report: dict[str, Any], expected: set[str]) -> None:
    assert len(report) == 10
    assert set(report.values()) == expected, report
