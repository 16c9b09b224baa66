"""Signed notes: who signed, who did not, and the one way to write it down."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, strategies as st

from assay.canonical import encode_base64
from assay.errors import FormatError, MisuseError, VerificationError
from assay.note import (
    COSIGNATURE,
    ED25519,
    Note,
    SignatureLine,
    VKey,
    cosign_line,
    cosigned_message,
    log_id,
    open_note,
    parse_line,
    parse_note,
    render,
    sign_line,
    vkey_for,
)
from tests.assay.vectors import Row, values, vector

ALICE = Ed25519PrivateKey.from_private_bytes(b"a" * 32)
BOB = Ed25519PrivateKey.from_private_bytes(b"b" * 32)
MALLORY = Ed25519PrivateKey.from_private_bytes(b"m" * 32)
ALICE_VKEY = vkey_for("alice.example/log", ALICE.public_key(), ED25519)
BOB_VKEY = vkey_for("bob.example/w", BOB.public_key(), COSIGNATURE)
TEXT = "alice.example/log\nhello\n"


def note(*lines: SignatureLine, text: str = TEXT) -> bytes:
    return render(Note(text=text, lines=lines))


def alice_line(text: str = TEXT) -> SignatureLine:
    return sign_line(text, ALICE_VKEY.name, ALICE)


def bob_line(time: int, text: str = TEXT) -> SignatureLine:
    return cosign_line(text, BOB_VKEY.name, BOB, time)


def test_the_vectors_checkpoint_opens(log_vkey: VKey, witness_vkeys: list[VKey]) -> None:
    opened = open_note(vector("checkpoint"), [log_vkey, *witness_vkeys])
    assert opened.text == "".join(
        values()["log"]["cosigned_message_w1"].partition("ledger.example.org\n")[1:]
    )
    assert opened.verified == (log_vkey, *witness_vkeys[:2])
    assert opened.times == {witness_vkeys[0]: 1767225600, witness_vkeys[1]: 1767225601}


def test_a_parsed_note_renders_to_the_same_bytes() -> None:
    assert render(parse_note(vector("checkpoint"))) == vector("checkpoint")


def test_signing_gives_the_lines_of_the_vectors(
    log_signer: Ed25519PrivateKey, witness_signers: list[Ed25519PrivateKey], keys: Row
) -> None:
    parsed = parse_note(vector("checkpoint"))
    lines = (
        sign_line(parsed.text, keys["log"]["name"], log_signer),
        cosign_line(parsed.text, keys["witness1"]["name"], witness_signers[0], 1767225600),
        cosign_line(parsed.text, keys["witness2"]["name"], witness_signers[1], 1767225601),
    )
    assert lines == parsed.lines
    message = cosigned_message(parsed.text, 1767225600)
    assert message.decode() == values()["log"]["cosigned_message_w1"]


def test_vkeys_are_those_of_the_vectors(keys: Row) -> None:
    for key in keys.values():
        if "vkey" not in key:
            continue
        vkey = VKey.parse(key["vkey"])
        assert (vkey.name, vkey.key_id.hex(), vkey.kind) == (
            key["name"],
            key["key_id"],
            int(key["type"], 16),
        )
        signer = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key["seed"]))
        assert vkey_for(vkey.name, signer.public_key(), vkey.kind) == vkey
        assert vkey.key.hex() == key["public"]
        assert str(vkey) == key["vkey"]
    example = values()["note_examples"]["c2sp_vkey"]
    assert str(VKey.parse(example)) == example


def test_the_logs_long_id_is_that_of_the_vectors(keys: Row) -> None:
    log = keys["log"]
    assert log_id(log["name"], bytes.fromhex(log["public"])).hex() == log["log_id"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "alice",
        "alice+00000000",
        f"+{ALICE_VKEY.key_id.hex()}+{encode_base64(b'1' * 33)}",
        str(ALICE_VKEY).replace("alice", "al ice"),
        str(ALICE_VKEY).replace("alice", "al\u00a0ice"),
        str(ALICE_VKEY).replace("alice", "al\x01ice"),
        str(ALICE_VKEY).replace("alice", "al\udcffice"),
        str(ALICE_VKEY).replace("alice", "mallory"),
        str(ALICE_VKEY).replace(ALICE_VKEY.key_id.hex(), ALICE_VKEY.key_id.hex().upper()),
        str(ALICE_VKEY)[:-1],
        str(ALICE_VKEY) + "\n",
        f"alice+00000000+{encode_base64(bytes([1]) + bytes(31))}",
        f"alice+00000000+{encode_base64(bytes([6]) + bytes(32))}",
    ],
)
def test_a_vkey_has_one_spelling_and_the_id_of_its_key(text: str) -> None:
    with pytest.raises(FormatError):
        VKey.parse(text)


def test_names_may_hold_letters_of_any_script() -> None:
    vkey = vkey_for("алиса.example", ALICE.public_key(), ED25519)
    assert VKey.parse(str(vkey)) == vkey
    line = sign_line(TEXT, vkey.name, ALICE)
    assert open_note(note(line), [vkey]).verified == (vkey,)


def test_a_key_of_one_type_does_not_pass_for_the_other() -> None:
    as_witness = vkey_for(ALICE_VKEY.name, ALICE.public_key(), COSIGNATURE)
    with pytest.raises(VerificationError, match="no known key"):
        open_note(note(alice_line()), [as_witness])


def test_lines_of_strangers_are_ignored() -> None:
    stranger = sign_line(TEXT, "mallory.example", MALLORY)
    opened = open_note(note(stranger, alice_line()), [ALICE_VKEY, BOB_VKEY])
    assert opened.verified == (ALICE_VKEY,)
    assert opened.times == {}


def test_mallory_cannot_sign_for_alice_even_beside_her_own_good_line() -> None:
    forged = SignatureLine(
        name=ALICE_VKEY.name, key_id=ALICE_VKEY.key_id, payload=MALLORY.sign(TEXT.encode())
    )
    with pytest.raises(VerificationError, match="alice"):
        open_note(note(alice_line(), forged), [ALICE_VKEY])


def test_of_repeated_cosignatures_the_earliest_counts_once() -> None:
    opened = open_note(note(bob_line(30), bob_line(10), bob_line(20)), [BOB_VKEY])
    assert opened.verified == (BOB_VKEY,)
    assert opened.times == {BOB_VKEY: 10}


@pytest.mark.parametrize("payload", [b"", b"\x00" * 71, b"\x00" * 73, b"\x00" * 72, b"\xff" * 72])
def test_a_cosignature_without_a_possible_time_is_refused(payload: bytes) -> None:
    line = SignatureLine(name=BOB_VKEY.name, key_id=BOB_VKEY.key_id, payload=payload or b"\x00")
    with pytest.raises(VerificationError):
        open_note(note(line), [BOB_VKEY])


def test_without_keys_nothing_can_be_opened() -> None:
    with pytest.raises(MisuseError):
        open_note(note(alice_line()), [])


def test_two_keys_may_not_share_name_and_id() -> None:
    twin = VKey(name=ALICE_VKEY.name, key_id=ALICE_VKEY.key_id, kind=ED25519, key=BOB_VKEY.key)
    with pytest.raises(MisuseError, match="same id"):
        open_note(note(alice_line()), [ALICE_VKEY, twin])
    assert open_note(note(alice_line()), [ALICE_VKEY, ALICE_VKEY]).verified == (ALICE_VKEY,)


def test_what_no_note_can_carry_is_not_signed() -> None:
    for name in ("", "al ice", "al+ice", "al\u2003ice", "al\nice"):
        with pytest.raises(MisuseError):
            sign_line(TEXT, name, ALICE)
    with pytest.raises(MisuseError):
        sign_line("no newline", "alice", ALICE)
    with pytest.raises(MisuseError):
        cosign_line("no newline", "alice", ALICE, 1)
    for time in (0, -1, 2**63):
        with pytest.raises(MisuseError):
            bob_line(time)
    with pytest.raises(MisuseError):
        vkey_for("alice", ALICE.public_key(), 2)


def test_a_note_without_lines_or_newline_is_not_rendered() -> None:
    with pytest.raises(MisuseError):
        render(Note(text=TEXT, lines=()))
    with pytest.raises(MisuseError):
        render(Note(text="no newline", lines=(alice_line(),)))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "—",
        "— alice",
        "— alice ",
        "—alice AAAAAAA=",
        "— alice AAAAAA==",  # four bytes: an id and no signature
        "— alice AAAAAAA",
        "— alice AAAAAAB=",
        "- alice AAAAAAA=",
        "— al\u2028ice AAAAAAA=",
        "— alice AAAAAAA= ",
        "— alice  AAAAAAA=",
    ],
)
def test_a_signature_line_has_one_spelling(line: str) -> None:
    assert str(parse_line("— alice AAAAAAA=")) == "— alice AAAAAAA=\n"
    with pytest.raises(FormatError):
        parse_line(line)


def test_a_note_above_one_megabyte_is_not_read() -> None:
    text = "x" * 999_999 + "\n"
    with pytest.raises(FormatError, match="at most"):
        parse_note(note(alice_line(text), text=text))


def test_one_hundred_lines_are_read_and_one_more_is_not() -> None:
    lines = [alice_line()] * 100
    assert len(parse_note(note(*lines)).lines) == 100
    with pytest.raises(FormatError, match="at most"):
        parse_note(note(*lines, alice_line()))


@pytest.mark.property
@given(st.binary(max_size=80))
def test_bytes_are_a_note_with_one_spelling_or_none(data: bytes) -> None:
    data = b"text\n\n\xe2\x80\x94 alice AAAAAAA=\n" + data
    try:
        parsed = parse_note(data)
    except FormatError:
        return
    assert render(parsed) == data
