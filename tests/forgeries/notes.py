"""Forged notes, checkpoints, cosignatures, tlog-proofs and verifier keys."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

from assay.canonical import encode_base64
from assay.checkpoint import Checkpoint
from assay.digests import sha256
from assay.merkle import root_of
from assay.note import (
    COSIGNATURE,
    ED25519,
    Note,
    SignatureLine,
    cosign_line,
    cosigned_message,
    parse_note,
    render,
    sign_line,
    vkey_for,
)
from assay.receipt import TlogProof, render_tlog_proof
from tests.assay import claims
from tests.assay.vectors import values
from tests.forgeries import honest
from tests.forgeries.lies import (
    MALFORMED,
    REFUSED,
    USAGE,
    Leaf,
    base64_of,
    decimal,
)
from tests.forgeries.question import Asker, Question

Made = Iterator[tuple[str, bytes, str]]
W1, W2 = "witness1", "witness2"


def claim() -> Any:
    """Return the honest bundle that the checkpoint and the proof are of."""
    return honest.bundle_of(honest.statement("release"))


def checkpoint_of(bundle: Any) -> bytes:
    made: bytes = bundle.entry.inclusion.checkpoint
    return made


def spellings(leaf: Leaf, value: str) -> Iterator[tuple[str, str]]:
    """Yield the lies about a value that stands in a text, not in JSON: those that are texts."""
    for lie in leaf(value):
        if lie.family == MALFORMED and lie.text is not None and lie.text.startswith('"'):
            text = json.loads(lie.text)
            if lie.name != "is a lone surrogate" and "\n" not in text:
                yield lie.name, text


def _line(name: str, data: bytes) -> str:
    return f"— {name} {encode_base64(data)}\n"


def signed(text: str, *lines: SignatureLine) -> bytes:
    return render(Note(text=text, lines=lines))


def lines_over(text: str, *, time: int = claims.TIME) -> tuple[SignatureLine, ...]:
    """Return the lines of the log and of two witnesses over any text."""
    names = [values()["keys"][name]["name"] for name in (W1, W2)]
    return (
        sign_line(text, honest.ORIGIN, honest.ed25519("log")),
        cosign_line(text, names[0], honest.ed25519(W1), time),
        cosign_line(text, names[1], honest.ed25519(W2), time),
    )


# ------------------------------------------------------------------ the note as a text


def note_lies(data: bytes) -> Made:
    """Lies about the shape of a note."""
    text, tail = data.decode().split("\n\n")
    first, second, third = tail.splitlines()
    name, payload = first.removeprefix("— ").split(" ")

    def with_line(line: str) -> bytes:
        return f"{text}\n\n{line}\n{second}\n{third}\n".encode("utf-8", "surrogatepass")

    for what, line in {
        "has a hyphen": f"- {name} {payload}",
        "has a short dash": f"\u2013 {name} {payload}",
        "has no dash": f"{name} {payload}",
        "has two spaces": f"—  {name} {payload}",
        "has no space": f"—{name} {payload}",
        "has no name": f"—  {payload}",
        "has no signature": f"— {name}",
        "has no signature after its space": f"— {name} ",
        "has a plus sign in its name": f"— a+b {payload}",
        "has a no-break space in its name": f"— a\u00a0b {payload}",
        "has a next line in its name": f"— a\u0085b {payload}",
        "has a line separator in its name": f"— a\u2028b {payload}",
        "has an ideographic space in its name": f"— a\u3000b {payload}",
        "has a space after it": f"{first} ",
        "has a third word": f"{first} x",
        "holds a key id only": _line(name, base64.b64decode(payload)[:4]).rstrip("\n"),
        "holds three bytes": _line(name, b"abc").rstrip("\n"),
    }.items():
        yield f"line[0] {what}", with_line(line), MALFORMED
    for what, wrong in spellings(base64_of(), payload):
        if wrong:
            yield f"line[0].base64 {what}", with_line(f"— {name} {wrong}"), MALFORMED
    for what, change in _SHAPES.items():
        yield f"whole {what}", change(data), MALFORMED


_SHAPES: dict[str, Callable[[bytes], bytes]] = {
    "is empty": lambda data: b"",
    "has no final newline": lambda data: data[:-1],
    "has no empty line": lambda data: data.replace(b"\n\n", b"\n"),
    "has no signature line": lambda data: data.partition(b"\n\n")[0] + b"\n\n",
    "has an empty line after it": lambda data: data + b"\n",
    "has lines for another system": lambda data: data.replace(b"\n", b"\r\n"),
    "has a tab": lambda data: data.replace(b"\n\n", b"\t\n\n"),
    "has a NUL": lambda data: data.replace(b"\n\n", b"\0\n\n"),
    "is not UTF-8": lambda data: data.replace(b"ledger", b"l\xffdger", 1),
    "has a surrogate in UTF-8": lambda data: data.replace(b"ledger", b"l\xed\xa0\x80er", 1),
    "has an overlong letter": lambda data: data.replace(b"ledger", b"l\xc1\xa1dger", 1),
    "has 101 lines": lambda data: data + data.splitlines(keepends=True)[-1] * 98,
    "is above a megabyte": lambda data: b"x" * 10**6 + data,
}


# ------------------------------------------------------------------ the checkpoint in it


def checkpoint_lies(data: bytes) -> Made:
    """Lies about a checkpoint: its three lines, who signed it, and when."""
    yield from note_lies(data)
    text = parse_note(data).text
    origin, size, root, _ = text.split("\n")
    tail = data.decode().partition("\n\n")[2]
    for place, value, leaf in (("size", size, decimal), ("root", root, base64_of(32))):
        for what, wrong in spellings(leaf, value):
            if wrong:
                made = text.replace(f"\n{value}\n", f"\n{wrong}\n")
                yield f"{place} {what}", signed(made, *lines_over(made)), MALFORMED
    for what, made in {
        "has no root": f"{origin}\n{size}\n",
        "has an empty origin": f"\n{size}\n{root}\n",
        "has an empty extension": f"{text}\n\nx\n",
        "has an origin that is too long": f"{'a' * 254}\n{size}\n{root}\n",
    }.items():
        yield f"text {what}", signed(made, *lines_over(made)), MALFORMED
    for what, made in {
        "origin is another": text.replace(origin, "mallory.example.org"),
        "origin is in capitals": text.replace(origin, origin.upper()),
        "size is another": text.replace(f"\n{size}\n", f"\n{int(size) + 1}\n"),
        "root is another": text.replace(root, encode_base64(b"\x01" * 32)),
        "has an extension that nobody signed": f"{text}note\n",
    }.items():
        yield f"text {what}", f"{made}\n{tail}".encode(), REFUSED
    yield from _signer_lies(text)
    empty = Checkpoint(origin=honest.ORIGIN, size=0, root=b"\x01" * 32).text
    yield "empty tree has another root", signed(empty, *lines_over(empty)), REFUSED


def _signer_lies(text: str) -> Made:
    log, first, second = lines_over(text)
    name = first.name
    key = honest.ed25519(W1)
    beyond = 2**63
    timeless = {
        time: _cosigned(name, first.key_id, time, key.sign(cosigned_message(text, time)))
        for time in (0, beyond, 2**64 - 1)
    }
    plain = sign_line(text, name, key)
    as_witness = cosign_line(text, honest.ORIGIN, honest.ed25519("log"), claims.TIME)
    other_log = sign_line(text, honest.ORIGIN, honest.ed25519("other_log"))
    third = cosign_line(f"{text}x\n", name, key, claims.TIME)
    for what, lines in {
        "the log did not sign": (first, second),
        "another log signed in its name": (other_log, first, second),
        "another key signed under its id": (_with_id(other_log, log), first, second),
        "the log signed as a witness": (as_witness, first, second),
        "the log's signature has a bit flipped": (_flip(log, 5), first, second),
        "the log's signature is a byte short": (_cut(log), first, second),
        "the log's signature is a byte long": (_grown(log), first, second),
        "the log signed, and then wrongly": (log, _flip(log, 5), first, second),
        "nobody cosigned": (log,),
        "one witness cosigned": (log, first),
        "one witness cosigned twice": (log, first, first),
        "a witness signed as a log": (log, plain, second),
        "a witness signed another text": (log, third, second),
        "a cosignature has a bit flipped": (log, _flip(first, 20), second),
        "a cosignature has another time": (log, _flip(first, 7), second),
        "a cosignature has no time": (
            log,
            SignatureLine(name=name, key_id=first.key_id, payload=first.payload[8:]),
            second,
        ),
        "a cosignature is a byte short": (log, _cut(first), second),
        "a cosignature is a byte long": (log, _grown(first), second),
        "a cosignature is of the time 0": (log, timeless[0], second),
        "a cosignature is of the time 2^63": (log, timeless[beyond], second),
        "a cosignature is of the last time": (log, timeless[2**64 - 1], second),
        "a third cosignature is wrong": (log, first, second, _flip(first, 20)),
        "a witness's line is under another's name": (
            log,
            SignatureLine(name=second.name, key_id=first.key_id, payload=first.payload),
            second,
        ),
    }.items():
        yield f"signers: {what}", signed(text, *lines), REFUSED


def _cosigned(name: str, key_id: bytes, time: int, signature: bytes) -> SignatureLine:
    payload = time.to_bytes(8, "big") + signature
    return SignatureLine(name=name, key_id=key_id, payload=payload)


def _with(line: SignatureLine, payload: bytes) -> SignatureLine:
    return SignatureLine(name=line.name, key_id=line.key_id, payload=payload)


def _with_id(line: SignatureLine, other: SignatureLine) -> SignatureLine:
    return SignatureLine(name=line.name, key_id=other.key_id, payload=line.payload)


def _flip(line: SignatureLine, at: int) -> SignatureLine:
    flipped = bytearray(line.payload)
    flipped[at] ^= 1
    return _with(line, bytes(flipped))


def _cut(line: SignatureLine) -> SignatureLine:
    return _with(line, line.payload[:-1])


def _grown(line: SignatureLine) -> SignatureLine:
    return _with(line, line.payload + b"\0")


def _odd(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Checkpoints that look odd, and are what the pages allow."""
    text = parse_note(data).text
    log, first, second = lines_over(text)
    stranger = SignatureLine(name="nobody", key_id=b"abcd", payload=b"x")
    namesake = SignatureLine(name=log.name, key_id=b"abcd", payload=b"x")
    joined = SignatureLine(name="a\ufeffb", key_id=b"abcd", payload=b"x")
    extended = f"{text}an extension\nmore — of it\n"
    yield "a stranger signed too", signed(text, stranger, log, first, second)
    yield "a namesake signed too", signed(text, namesake, log, first, second)
    yield "a name holds a joiner, which is no space", signed(text, joined, log, first, second)
    yield "the lines stand in another order", signed(text, second, first, log)
    yield "every line stands twice", signed(text, log, first, second, log, first, second)
    yield "a hundred lines", signed(text, log, first, second, *([stranger] * 97))
    yield "it has extensions", signed(extended, *lines_over(extended))
    yield "the last time that there is", signed(text, *lines_over(text, time=2**63 - 1))
    empty = Checkpoint(origin=honest.ORIGIN, size=0, root=root_of([])).text
    yield "the tree is empty", signed(empty, *lines_over(empty))
    huge = Checkpoint(origin=honest.ORIGIN, size=2**63 - 1, root=b"\x01" * 32).text
    yield "the tree is as large as a tree may be", signed(huge, *lines_over(huge))


# ------------------------------------------------------------------ the questions


def questions() -> Iterator[Question]:
    """Forged notes, checkpoints, cosignatures, proofs and keys."""
    data = checkpoint_of(claim())
    yield from _checkpoints(data)
    yield from _notes(data)
    yield from _proofs()
    yield from _vkeys()


def _checkpoints(data: bytes) -> Iterator[Question]:
    pins = {"trustedRoot": honest.TRUSTED_ROOT, "policy": honest.POLICY}
    asker = Asker(artefact="checkpoint", kind="checkpoint", fields=pins)
    yield asker.honest(data)
    yield from asker.about(checkpoint_lies(data))
    for name, made in _odd(data):
        yield asker.honest(made, name)
    for name, family, options in (
        ("asked of another origin", USAGE, {"origin": "mallory.example.org"}),
        ("asked of a witness's key", USAGE, {"vkey": honest.vkey(W1)}),
        ("asked of another log's key", REFUSED, {"vkey": honest.vkey("other_log")}),
        ("asked of a key with another id", MALFORMED, {"vkey": _wrong_id(honest.vkey("log"))}),
    ):
        yield asker.ask(name, data, family, **options)


def _wrong_id(text: str) -> str:
    name, key_id, key = text.split("+", 2)
    return f"{name}+{'00000000' if key_id != '00000000' else '00000001'}+{key}"


def _notes(data: bytes) -> Iterator[Question]:
    keys = [honest.vkey(name) for name in ("log", W1, W2, "witness3")]
    asker = Asker(artefact="note", kind="note", options={"vkeys": keys})
    yield asker.honest(data)
    yield from asker.about(note_lies(data))
    yield asker.ask("opened without keys", data, USAGE, vkeys=[])
    yield asker.ask("opened with a key of nobody here", data, REFUSED, vkeys=keys[3:])
    parsed = Asker(artefact="note, read only", kind="note")
    yield parsed.honest(data)
    yield from parsed.about(note_lies(data))
    text = parse_note(data).text
    log, first, _ = lines_over(text)
    witness = Asker(artefact="cosignature", kind="cosignature", options={"vkeys": keys[1:2]})
    yield witness.honest(signed(text, first))
    key = honest.ed25519(W1)
    late = _cosigned(first.name, first.key_id, 2**63, key.sign(cosigned_message(text, 2**63)))
    never = _cosigned(first.name, first.key_id, 0, key.sign(cosigned_message(text, 0)))
    for what, lines in {
        "is the log's": (log,),
        "is plain": (sign_line(text, first.name, key),),
        "is plain under the witness's id": (_with(first, key.sign(text.encode())),),
        "signs without its header": (
            _with(first, bytes(first.payload[:8]) + key.sign(text.encode())),
        ),
        "has another time": (_flip(first, 7),),
        "has a time of 0": (never,),
        "has a time of 2^63": (late,),
        "has a bit flipped": (_flip(first, 30),),
        "is short": (_cut(first),),
        "is long": (_grown(first),),
        "is right, and then wrong": (first, _flip(first, 30)),
        "is another key's": (
            _with_id(cosign_line(text, first.name, honest.ed25519(W2), 1), first),
        ),
    }.items():
        yield witness.ask(what, signed(text, *lines), REFUSED)


def _proofs() -> Iterator[Question]:
    bundle = claim()
    proof = bundle.entry.inclusion
    made = TlogProof(index=proof.index, hashes=proof.hashes, checkpoint=proof.checkpoint)
    data = render_tlog_proof(made)
    leaf = honest.leaf_of(bundle)
    pins = {"trustedRoot": honest.TRUSTED_ROOT, "policy": honest.POLICY, "leaf": leaf}
    asker = Asker(artefact="tlog-proof", kind="tlog-proof", fields=pins)
    yield asker.honest(data)
    extra = TlogProof(index=2, hashes=proof.hashes, checkpoint=proof.checkpoint, extra=b"whatever")
    yield asker.honest(render_tlog_proof(extra), "has something extra")
    for name, wrong, family in checkpoint_lies(proof.checkpoint):
        yield asker.ask(f"checkpoint {name}", data.replace(proof.checkpoint, wrong), family)
    yield from asker.about(_proof_lies(data, [encode_base64(item) for item in proof.hashes]))
    yield asker.ask("asked of another leaf", data, REFUSED, leaf=b"\x01" * 32)


def _proof_lies(data: bytes, hashes: list[str]) -> Made:
    text = data.decode()
    header, index, first, second = text.split("\n")[:4]
    assert [first, second] == hashes
    for what, wrong in spellings(decimal, "2"):
        yield f"index {what}", text.replace(index, f"index {wrong}", 1).encode(), MALFORMED
    for what, wrong in spellings(base64_of(32), first):
        yield f"hash[0] {what}", text.replace(first, wrong, 1).encode(), MALFORMED
    head = f"{header}\n{index}\n"
    many = f"{first}\n" * 64
    for what, made in {
        "has another version": text.replace("@v1", "@v2"),
        "has no header": text.partition("\n")[2],
        "has no index": text.replace(f"{index}\n", ""),
        "has two indices": text.replace(head, f"{head}{index}\n"),
        "has its index after the hashes": text.replace(
            f"{index}\n{first}\n", f"{first}\n{index}\n"
        ),
        "has an extra that is not base64": text.replace(head, f"{header}\nextra A\n{index}\n"),
        "has its extra after the index": text.replace(head, f"{head}extra AA==\n"),
        "has two extras": text.replace(head, f"{header}\nextra AA==\nextra AA==\n{index}\n"),
        "has no empty line": text.replace(f"{second}\n\n", f"{second}\n"),
        "has 64 hashes": text.replace(f"{first}\n", many),
        "has lines for another system": text.replace("\n", "\r\n"),
        "has a letter beyond ASCII": text.replace(header, f"{header}\u00e9"),
        "has a space after a hash": text.replace(f"{first}\n", f"{first} \n"),
    }.items():
        yield what, made.encode(), MALFORMED
    for what, made in {
        "index is another": text.replace(index, "index 1"),
        "index is beyond the tree": text.replace(index, "index 4"),
        "a hash is missing": text.replace(f"{second}\n", ""),
        "a hash is there twice": text.replace(f"{second}\n", f"{second}\n{second}\n"),
        "no hash is there": text.replace(f"{first}\n{second}\n", ""),
        "the hashes are exchanged": text.replace(f"{first}\n{second}\n", f"{second}\n{first}\n"),
        "a hash is another": text.replace(first, encode_base64(b"\x01" * 32)),
    }.items():
        yield what, made.encode(), REFUSED


def _vkeys() -> Iterator[Question]:
    asker = Asker(artefact="vkey", kind="vkey")
    text = honest.vkey("log")
    name, key_id, key = text.split("+", 2)
    other = vkey_for("a\ufeffb", honest.ed25519("log").public_key(), ED25519)
    yield asker.honest(text.encode())
    yield asker.honest(honest.vkey(W1).encode(), "of a witness")
    yield asker.honest(str(other).encode(), "with a joiner in its name, which is no space")
    raw = base64.b64decode(key)
    retyped = encode_base64(bytes([COSIGNATURE]) + raw[1:])
    for what, made in {
        "is empty": "",
        "has no name": f"+{key_id}+{key}",
        "has two parts": f"{name}+{key_id}",
        "has a space in its name": f"a b+{key_id}+{key}",
        "has a next line in its name": _rightly("a\u0085b", raw),
        "has a no-break space in its name": _rightly("a\u00a0b", raw),
        "has a newline in its name": _rightly("a\nb", raw),
        "has another name": f"mallory+{key_id}+{key}",
        "has its id in capitals": f"{name}+{key_id.upper()}+{key}",
        "has a short id": f"{name}+{key_id[1:]}+{key}",
        "has a wide digit in its id": f"{name}+\uff11{key_id[1:]}+{key}",
        "has another id": _wrong_id(text),
        "is of type 02": _rightly(name, b"\x02" + raw[1:]),
        "is of type ff": _rightly(name, b"\xff" + raw[1:]),
        "has another type than its id": f"{name}+{key_id}+{retyped}",
        "has 31 bytes of key": _rightly(name, raw[:-1]),
        "has 33 bytes of key": _rightly(name, raw + b"\0"),
        "has a newline after it": f"{text}\n",
        "has a fourth part": f"{text}+x",
    }.items():
        yield asker.ask(what, made.encode(), MALFORMED)
    for what, wrong in spellings(base64_of(), key):
        yield asker.ask(f"key {what}", f"{name}+{key_id}+{wrong}".encode(), MALFORMED)


def _rightly(name: str, key: bytes) -> str:
    """Return a vkey whose id is right for its name and key, whatever they are."""
    key_id = sha256(name.encode() + b"\n" + key)[:4].hex()
    return f"{name}+{key_id}+{encode_base64(key)}"
