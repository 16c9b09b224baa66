"""The witness: what it cosigns, what it remembers, and in which order it refuses."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assay.canonical import encode_base64
from assay.checkpoint import Checkpoint
from assay.errors import FormatError
from assay.merkle import EMPTY_ROOT, leaf_hash, node_hash
from assay.note import COSIGNATURE, Note, VKey, open_note, parse_note, render, sign_line, vkey_for
from assay.witness import (
    MAX_REQUEST,
    AddCheckpoint,
    Answer,
    WitnessState,
    add_checkpoint,
    parse_add_checkpoint,
    render_add_checkpoint,
)
from tests.assay.simulators import MemoryStore
from tests.assay.vectors import Row, values, vector

NOW = 1767225600
ONE, TWO = leaf_hash(b"1"), node_hash(leaf_hash(b"1"), leaf_hash(b"2"))


class Witness:
    """Witness 1 of the vectors, at one time, for the vectors' log."""

    def __init__(self, key: Ed25519PrivateKey, name: str, log: VKey) -> None:
        self.key, self.name, self.log = key, name, log
        self.store = MemoryStore()
        self.vkey = vkey_for(name, key.public_key(), COSIGNATURE)

    def ask(self, body: bytes, time: int = NOW) -> Answer:
        return add_checkpoint(
            body,
            logs={self.log.name: self.log},
            store=self.store,
            key=self.key,
            name=self.name,
            time=time,
        )


@pytest.fixture
def witness(witness_signers: list[Ed25519PrivateKey], keys: Row, log_vkey: VKey) -> Witness:
    return Witness(witness_signers[0], keys["witness1"]["name"], log_vkey)


def signed(signer: Ed25519PrivateKey, size: int, root: bytes) -> bytes:
    origin = values()["origin"]
    text = Checkpoint(origin=origin, size=size, root=root).text
    return render(Note(text=text, lines=(sign_line(text, origin, signer),)))


def test_the_vectors_request_gets_the_vectors_answer(witness: Witness) -> None:
    log = values()["log"]
    origin = values()["origin"]
    witness.store.states[origin] = WitnessState(size=100, root=bytes.fromhex(log["root_100"]))
    answer = witness.ask(vector("add-checkpoint.request"))
    assert (answer.status, answer.body) == (200, vector("add-checkpoint.response"))
    assert witness.store.states[origin] == WitnessState(size=259, root=bytes.fromhex(log["root"]))
    opened = open_note(witness.store.notes[origin], [witness.log, witness.vkey])
    assert opened.verified == (witness.log, witness.vkey)
    assert opened.times == {witness.vkey: NOW}


def test_a_request_reads_back() -> None:
    body = vector("add-checkpoint.request")
    request = parse_add_checkpoint(body)
    assert request.old == 100
    assert [value.hex() for value in request.proof] == values()["log"]["consistency_100_259"]
    assert render_add_checkpoint(request.old, request.proof, request.note) == body
    assert parse_add_checkpoint(b"old 0\n\nnote") == AddCheckpoint(old=0, proof=(), note=b"note")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 0\n",
        b"old 0",
        b"old\n\nnote",
        b"new 0\n\nnote",
        b"old -1\n\nnote",
        b"old 0 \n\nnote",
        b"old \xd9\xa0\n\nnote",
        b"old 1\nAAAA\n\nnote",
        b"old 1\n" + encode_base64(bytes(32)).encode() + b"=\n\nnote",
        b"old 1\n" + (encode_base64(bytes(32)) + "\n").encode() * 64 + b"\nnote",
        b"old 1\n\n" + bytes(MAX_REQUEST),
    ],
)
def test_a_request_of_another_form_is_malformed(body: bytes) -> None:
    with pytest.raises(FormatError):
        parse_add_checkpoint(body)


def test_garbage_is_answered_with_400(witness: Witness) -> None:
    for body in (b"", b"old 0\n\nno note", b"old 0\n\no\n1\n\n\xe2\x80\x94 o AAAAAAA=\n"):
        assert witness.ask(body).status == 400


def test_the_witness_starts_from_nothing_and_follows(
    witness: Witness, log_signer: Ed25519PrivateKey
) -> None:
    first = witness.ask(render_add_checkpoint(0, [], signed(log_signer, 1, ONE)))
    assert first.status == 200
    proof = [leaf_hash(b"2")]
    second = witness.ask(render_add_checkpoint(1, proof, signed(log_signer, 2, TWO)), NOW + 1)
    assert second.status == 200
    assert witness.store.states[values()["origin"]] == WitnessState(size=2, root=TWO)


def test_a_witness_that_knows_a_size_tells_it(
    witness: Witness, log_signer: Ed25519PrivateKey
) -> None:
    witness.ask(render_add_checkpoint(0, [], signed(log_signer, 2, TWO)))
    answer = witness.ask(render_add_checkpoint(0, [], signed(log_signer, 2, TWO)))
    assert answer == Answer(status=409, body=b"2\n", content_type="text/x.tlog.size")


def test_a_witness_that_knows_nothing_tells_zero(
    witness: Witness, log_signer: Ed25519PrivateKey
) -> None:
    answer = witness.ask(render_add_checkpoint(1, [], signed(log_signer, 1, ONE)))
    assert (answer.status, answer.body) == (409, b"0\n")


def test_the_same_tree_again_refreshes_the_time(
    witness: Witness, log_signer: Ed25519PrivateKey
) -> None:
    witness.ask(render_add_checkpoint(0, [], signed(log_signer, 1, ONE)))
    again = witness.ask(render_add_checkpoint(1, [], signed(log_signer, 1, ONE)), NOW + 60)
    assert again.status == 200
    opened = open_note(witness.store.notes[values()["origin"]], [witness.vkey])
    assert opened.times == {witness.vkey: NOW + 60}


def test_the_empty_tree_is_cosigned_with_its_only_root(
    witness: Witness, log_signer: Ed25519PrivateKey
) -> None:
    lie = witness.ask(render_add_checkpoint(0, [], signed(log_signer, 0, ONE)))
    assert lie.status == 422
    truth = witness.ask(render_add_checkpoint(0, [], signed(log_signer, 0, EMPTY_ROOT)))
    assert truth.status == 200


def test_a_fork_is_never_cosigned_whatever_the_log_signs(
    witness: Witness, log_signer: Ed25519PrivateKey
) -> None:
    witness.ask(render_add_checkpoint(0, [], signed(log_signer, 1, ONE)))
    other = leaf_hash(b"other")
    assert witness.ask(render_add_checkpoint(1, [], signed(log_signer, 1, other))).status == 422
    forked = node_hash(other, leaf_hash(b"2"))
    body = render_add_checkpoint(1, [leaf_hash(b"2")], signed(log_signer, 2, forked))
    assert witness.ask(body).status == 422
    assert witness.store.states[values()["origin"]] == WitnessState(size=1, root=ONE)


def test_of_two_requests_at_once_one_loses_and_learns_the_size(
    witness: Witness, log_signer: Ed25519PrivateKey
) -> None:
    def other_request() -> None:
        won = witness.ask(render_add_checkpoint(0, [], signed(log_signer, 2, TWO)))
        assert won.status == 200

    witness.store.before_swap = other_request
    lost = witness.ask(render_add_checkpoint(0, [], signed(log_signer, 1, ONE)))
    assert (lost.status, lost.body) == (409, b"2\n")
    assert witness.store.states[values()["origin"]] == WitnessState(size=2, root=TWO)


def test_lines_of_strangers_are_not_kept(
    witness: Witness, log_signer: Ed25519PrivateKey, witness_signers: list[Ed25519PrivateKey]
) -> None:
    note = parse_note(signed(log_signer, 1, ONE))
    stranger = sign_line(note.text, "mallory.example", witness_signers[1])
    body = render(Note(text=note.text, lines=(stranger, *note.lines, *note.lines)))
    assert witness.ask(render_add_checkpoint(0, [], body)).status == 200
    kept = parse_note(witness.store.notes[values()["origin"]])
    assert [line.name for line in kept.lines] == [values()["origin"], witness.name]
