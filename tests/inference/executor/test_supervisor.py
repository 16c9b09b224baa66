"""What a supervisor says of itself, and how it refuses to start."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from socket import socketpair

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from assay.dsse import load_public_key, parse_compact, verify_envelope
from assay.errors import MisuseError, UnavailableError
from assay.statements import KeyPredicate, parse_predicate, parse_statement
from inference.client import ExecutorClient, ExecutorError
from inference.executor.keys import load_or_create_key
from inference.executor.protocol import (
    ConnectionEndedError,
    Frame,
    ProtocolError,
    Stream,
    connect,
    send,
)
from inference.executor.runtime import FILES, load_runtime
from tests.inference.executor.running import ROOT, RUNTIME, Running, TestLog, wait_until

DIGEST = "3b51fdee3c3bca55a8374f7c1f93963eaf5940907ae3387354b33af71550606d"


def test_the_status_names_runtime_slots_and_jail(
    supervisor: Running, client: ExecutorClient
) -> None:
    wait_until(lambda: client.status().free == 2)
    status = client.status()
    (runtime,) = status.runtimes
    assert runtime["kind"] == "portable"
    assert (runtime["name"], runtime["version"]) == ("onnxruntime-web", "1.30.0")
    assert runtime["digest"] == {"sha256": DIGEST}
    assert [item["name"] for item in runtime["files"]] == sorted(FILES)
    assert runtime["options"] == {"graphOptimizationLevel": "all", "threads": 1}
    assert (status.slots, status.fingerprint) == (2, supervisor.fingerprint)
    assert set(status.jail) == {"limits", "network", "no_new_privs", "landlock", "parent_death"}


def test_the_executor_registers_its_own_key(supervisor: Running, client: ExecutorClient) -> None:
    identity = client.identity()
    public = load_public_key(identity.public_key)
    envelope = parse_compact(
        client.register(owner="registry.example", checkpoint=supervisor.log.checkpoint(9))
    )
    verify_envelope(envelope, public)
    statement = parse_statement(envelope.payload)
    predicate = parse_predicate(statement)
    assert isinstance(predicate, KeyPredicate)
    assert statement.digests == (public.fingerprint,) == (identity.fingerprint,)
    assert (predicate.action, predicate.role) == ("register", "executor")
    assert (predicate.owner, predicate.previous) == ("registry.example", None)
    assert predicate.public_key == identity.public_key
    assert predicate.observed.tree_size == 9


def test_mallory_may_not_show_a_checkpoint_of_her_own(client: ExecutorClient) -> None:
    forged = TestLog(key=ed25519.Ed25519PrivateKey.generate()).checkpoint()
    with pytest.raises(ExecutorError, match="not the log's") as caught:
        client.register(owner="mallory", checkpoint=forged)
    assert caught.value.code == "bad_input"


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x00\x00\x02\x00\x00\x00\x00",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x00\x00\x00\x06\x00\x00\x00\x02{]",
        b"\x00\x00\x00\x06\x00\x00\x00\x02[]",
        b"\x00\x00\x00\x09\x00\x00\x00\x02{}bytes that status does not have",
        b"\xf0\x00\x00\x00\x00\x00\x00\x0e" + b'{"op":"infer"}',
        b"\x00\x00\x10\x00\x00\x00\x00\x0e{",
    ],
)
def test_who_does_not_speak_the_protocol_is_hung_up_on(supervisor: Running, data: bytes) -> None:
    connection = connect(supervisor.socket, 5)
    connection.sendall(data)
    connection.shutdown(1)
    with pytest.raises(ProtocolError):
        Stream(connection).frame(0)
    connection.close()


@pytest.mark.parametrize("header", [{}, {"op": "shutdown"}, {"op": ["infer"]}, {"op": "infer"}])
def test_an_unknown_request_gets_an_error_and_the_connection_lives(
    supervisor: Running, header: dict[str, object]
) -> None:
    connection = connect(supervisor.socket, 5)
    stream = Stream(connection)
    for _ in range(2):
        send(connection, Frame(header=header))
        assert stream.frame(0).header["error"]["code"] == "bad_input"
    connection.close()


def test_the_end_of_a_stream_between_frames_is_told_from_a_break() -> None:
    ours, theirs = socketpair()
    with ours:
        send(theirs, Frame(header={"op": "status"}))
        theirs.close()
        stream = Stream(ours)
        assert stream.frame(0).header == {"op": "status"}
        with pytest.raises(ConnectionEndedError):
            stream.frame(0)


def start(tmp_path: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    arguments = {
        "--socket": str(tmp_path / "s"),
        "--key": str(tmp_path / "key.pem"),
        "--runtime": str(RUNTIME),
        "--origin": "log.example",
        "--log-vkey": str(TestLog().vkey),
        **{f"--{name}": value for name, value in changes.items()},
    }
    command = [sys.executable, "-m", "inference.executor"]
    command += [word for pair in arguments.items() for word in pair]
    return subprocess.run(
        command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=30
    )


def put_world_readable_key(folder: Path) -> dict[str, str]:
    load_or_create_key(folder / "open.pem")
    (folder / "open.pem").chmod(0o644)
    return {"key": str(folder / "open.pem")}


def put_other_key(folder: Path) -> dict[str, str]:
    pem = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "other.pem").write_bytes(pem)
    (folder / "other.pem").chmod(0o600)
    return {"key": str(folder / "other.pem")}


def put_no_runtime(folder: Path) -> dict[str, str]:
    return {"runtime": str(folder)}


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (put_world_readable_key, "can be read by others"),
        (put_other_key, "another kind than P-256"),
        (put_no_runtime, "no portable runtime"),
        (lambda _: {"origin": "https://log.example"}, "origin"),
        (lambda _: {"socket": "/nowhere/s"}, "No such file"),
    ],
)
def test_what_cannot_be_used_is_said_at_start(
    tmp_path: Path, prepare: Callable[[Path], dict[str, str]], words: str
) -> None:
    ended = start(tmp_path, **prepare(tmp_path))
    assert ended.returncode == 1
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_key_file_that_holds_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(b"no key")
    path.chmod(0o600)
    with pytest.raises(MisuseError, match="no private key"):
        load_or_create_key(path)


def test_a_runtime_is_named_by_the_bytes_of_its_files(tmp_path: Path) -> None:
    copy = tmp_path / "runtime"
    shutil.copytree(RUNTIME, copy)
    assert load_runtime(copy) == load_runtime(RUNTIME)
    with (copy / "ort.wasm.min.mjs").open("ab") as file:
        file.write(b"\n// changed")
    assert load_runtime(copy).digest != DIGEST
    (copy / "ort.wasm.min.mjs").write_text("something else")
    with pytest.raises(UnavailableError, match="another program"):
        load_runtime(copy)


def test_a_key_that_a_crash_left_half_made_is_in_nobodys_way(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / f".key.pem.{os.getpid()}").write_bytes(b"half a key")
    made = load_or_create_key(folder / "key.pem")
    assert load_or_create_key(folder / "key.pem").private_numbers() == made.private_numbers()
    assert sorted(path.name for path in folder.iterdir()) == [
        f".key.pem.{os.getpid()}",
        "key.pem",
    ]


def test_a_key_whose_writing_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        load_or_create_key(folder / "key.pem")
    assert list(folder.iterdir()) == []
