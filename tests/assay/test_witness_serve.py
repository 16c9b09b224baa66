"""The witness as a process: what it answers, and that a crash does not make it forget."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner

from assay.checkpoint import Checkpoint
from assay.cli.witness import FileStore, app
from assay.digests import sha256_hex
from assay.merkle import leaf_hash
from assay.note import COSIGNATURE, Note, VKey, open_note, render, sign_line, vkey_for
from assay.witness import MAX_REQUEST, WitnessState, render_add_checkpoint
from tests.assay.vectors import Row, values, vector

NAME = "witness.example.test/w"
ORIGIN = "ledger.example.org"
DIGEST = values()["log"]["origin_sha256"]
PROGRAM = (sys.executable, "-c", "from assay.cli.witness import app; app()")
LOG = values()["keys"]["log"]["vkey"]


@dataclass
class Running:
    """A witness process and one connection to it."""

    process: subprocess.Popen[str]
    connection: http.client.HTTPConnection

    def get(self, path: str) -> tuple[int, bytes]:
        self.connection.request("GET", path)
        response = self.connection.getresponse()
        return response.status, response.read()

    def post(self, body: bytes, path: str = "/add-checkpoint") -> tuple[int, bytes, str]:
        self.connection.request("POST", path, body)
        response = self.connection.getresponse()
        return response.status, response.read(), response.headers["Content-Type"]

    @property
    def vkey(self) -> VKey:
        return VKey.parse(self.get("/vkey")[1].decode().removesuffix("\n"))

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=20)


def arguments(folder: Path, *extra: str) -> list[str]:
    key, state = str(folder / "key.pem"), str(folder / "state")
    return ["serve", "--key", key, "--state", state, "--log", LOG, "--name", NAME, *extra]


@contextmanager
def running(folder: Path) -> Iterator[Running]:
    process = subprocess.Popen(
        (*PROGRAM, *arguments(folder, "--port", "0")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        try:
            line = process.stdout.readline()
            start, _, address = line.rstrip().rpartition("http://")
            assert start == f"witness {NAME} listening on ", process.stderr.read()
            connection = http.client.HTTPConnection(address, timeout=20)
            yield Running(process, connection)
            connection.close()
            process.terminate()
            process.wait(timeout=20)
        finally:
            process.kill()
            process.wait(timeout=20)


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as process:
        yield process


def growth() -> bytes:
    proof = [bytes.fromhex(value) for value in values()["log"]["consistency_200_259"]]
    return render_add_checkpoint(200, proof, vector("checkpoint"))


def first() -> bytes:
    return render_add_checkpoint(0, [], vector("checkpoint.200"))


def test_the_witness_cosigns_a_log_that_grows_and_publishes_what_it_cosigned(
    witness: Running, log_vkey: VKey
) -> None:
    assert witness.get(f"/{DIGEST}/checkpoint")[0] == 404
    for body, name in ((first(), "checkpoint.200"), (growth(), "checkpoint")):
        status, lines, kind = witness.post(body)
        assert (status, kind) == (200, "text/plain; charset=utf-8")
        opened = open_note(vector(name) + lines, [witness.vkey])
        assert opened.times[witness.vkey] > values()["log"]["size"]
    status, note = witness.get(f"/{DIGEST}/checkpoint")
    assert status == 200
    assert open_note(note, [log_vkey, witness.vkey]).verified == (log_vkey, witness.vkey)


def test_the_witness_says_why_it_does_not_cosign(
    witness: Running, log_signer: Ed25519PrivateKey, keys: Row
) -> None:
    assert witness.post(first())[0] == 200
    assert witness.post(b"garbage")[0] == 400
    assert witness.post(render_add_checkpoint(300, [], vector("checkpoint")))[0] == 400
    other = Checkpoint(origin="other.example.org", size=1, root=leaf_hash(b"")).text
    line = sign_line(other, "other.example.org", log_signer)
    note = render(Note(text=other, lines=(line,)))
    assert witness.post(render_add_checkpoint(0, [], note))[0] == 404
    stranger = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(keys["other_log"]["seed"]))
    text = Checkpoint(origin=ORIGIN, size=200, root=leaf_hash(b"")).text
    note = render(Note(text=text, lines=(sign_line(text, ORIGIN, stranger),)))
    assert witness.post(render_add_checkpoint(200, [], note))[0] == 403
    assert witness.post(first()) == (409, b"200\n", "text/x.tlog.size")
    proof = [bytes.fromhex(value) for value in values()["log"]["consistency_200_259"]]
    assert witness.post(render_add_checkpoint(200, proof, vector("checkpoint.fork")))[0] == 422
    assert witness.post(growth())[0] == 200


def test_the_witness_has_no_other_resource(witness: Running) -> None:
    for path in ("/", "/add-checkpoint", f"/{'0' * 64}/checkpoint", f"/{DIGEST}/../key"):
        assert witness.get(path)[0] == 404
    assert witness.post(b"", "/checkpoint")[0] == 404


def test_the_witness_reads_no_more_than_a_request_can_have(witness: Running) -> None:
    witness.connection.putrequest("POST", "/add-checkpoint")
    witness.connection.putheader("Content-Length", str(MAX_REQUEST + 1))
    witness.connection.endheaders()
    response = witness.connection.getresponse()
    assert response.status == 413
    assert response.headers["Connection"] == "close"
    response.read()
    witness.connection.putrequest("POST", "/add-checkpoint")
    witness.connection.endheaders()
    assert witness.connection.getresponse().status == 411


def test_a_witness_that_is_killed_remembers_the_size(tmp_path: Path) -> None:
    with running(tmp_path) as witness:
        vkey = witness.vkey
        assert witness.post(first())[0] == 200
        assert witness.stop(signal.SIGKILL) == -signal.SIGKILL
    (tmp_path / "state" / f".{DIGEST}.new").write_bytes(b"half a no")
    with running(tmp_path) as witness:
        assert witness.vkey == vkey
        assert witness.post(first()) == (409, b"200\n", "text/x.tlog.size")
        assert witness.post(growth())[0] == 200
        assert witness.stop() == 0
    with running(tmp_path) as witness:
        assert witness.post(first())[:2] == (409, b"259\n")
        assert witness.stop(signal.SIGINT) == 0


def test_the_key_and_the_states_are_for_their_owner_only(witness: Running, tmp_path: Path) -> None:
    assert witness.post(first())[0] == 200
    for path in (tmp_path / "key.pem", tmp_path / "state" / DIGEST):
        assert path.stat().st_mode & 0o777 == 0o600


def test_two_witnesses_cannot_share_a_state(witness: Running, tmp_path: Path) -> None:
    assert witness.vkey.name == NAME
    result = CliRunner().invoke(app, arguments(tmp_path))
    assert result.exit_code == 3
    assert "another witness holds" in result.output


def test_after_a_failed_write_the_witness_gives_up(tmp_path: Path) -> None:
    with running(tmp_path) as witness:
        (tmp_path / "state" / f".{DIGEST}.new").mkdir()
        assert witness.post(first())[0] == 503
        assert witness.process.wait(timeout=20) == 3
    assert not (tmp_path / "state" / DIGEST).exists()


def test_a_damaged_state_stops_the_witness_instead_of_resetting_it(tmp_path: Path) -> None:
    file = tmp_path / "state" / DIGEST
    with running(tmp_path) as witness:
        assert witness.post(first())[0] == 200
        file.write_bytes(file.read_bytes().replace(b"\n200\n", b"\n100\n"))
        assert witness.post(growth())[0] == 503
        assert witness.process.wait(timeout=20) == 3
    result = CliRunner().invoke(app, arguments(tmp_path))
    assert result.exit_code == 1
    assert "is wrong" in result.output


def test_a_port_that_is_taken_is_said(witness: Running, tmp_path: Path) -> None:
    port = str(witness.connection.port)
    result = CliRunner().invoke(app, arguments(tmp_path / "other", "--port", port))
    assert result.exit_code == 3


def test_a_port_that_no_machine_has_is_misuse(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, arguments(tmp_path / "other", "--port", "65536"))
    assert result.exit_code == 2
    assert result.exception is None or isinstance(result.exception, SystemExit)


@pytest.mark.parametrize(
    "log",
    [
        "no vkey",
        values()["keys"]["witness1"]["vkey"],
        str(vkey_for(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"x" * 32).public_key(), 1)),
    ],
)
def test_what_is_no_log_key_is_misuse(tmp_path: Path, log: str) -> None:
    result = CliRunner().invoke(app, arguments(tmp_path, "--log", log))
    assert result.exit_code == 2


def test_a_key_that_is_none_is_misuse(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    wrong = ec.generate_private_key(ec.SECP256R1())
    pem = wrong.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for data, mode, message in (
        (b"garbage", 0o600, "no private key"),
        (pem, 0o600, "no Ed25519 key"),
        (vector("log.test-only.pem"), 0o644, "others may read"),
    ):
        key.write_bytes(data)
        key.chmod(mode)
        result = CliRunner().invoke(app, arguments(tmp_path))
        assert result.exit_code == 2
        assert message in result.output


def test_a_name_that_no_line_can_carry_is_misuse(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, arguments(tmp_path, "--name", "a b")).exit_code == 2


def test_a_state_file_of_another_origin_is_refused(tmp_path: Path) -> None:
    with running(tmp_path) as witness:
        assert witness.post(first())[0] == 200
        assert witness.stop() == 0
    state = tmp_path / "state"
    (state / DIGEST).rename(state / sha256_hex(b"other.example.org"))
    other = values()["keys"]["other_log"]["vkey"]
    result = CliRunner().invoke(app, arguments(tmp_path, "--log", other))
    assert result.exit_code == 1
    assert "another origin" in result.output


def test_a_store_changes_nothing_when_the_state_is_another(
    tmp_path: Path, witness_signers: list[Ed25519PrivateKey]
) -> None:
    store = FileStore(tmp_path, vkey_for(NAME, witness_signers[0].public_key(), COSIGNATURE))
    state = WitnessState(size=1, root=leaf_hash(b""))
    assert not store.swap(ORIGIN, state, state, b"note")
    assert list(tmp_path.iterdir()) == []
