"""Forged parts: envelopes, log entries, compact receipts, proofs, evidence of a fork, JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from assay.canonical import canonical_json, encode_base64
from assay.dsse import Envelope, compact, sign
from assay.merkle import leaf_hash, prove_consistency, prove_inclusion, root_of
from assay.splitview import read_cover
from tests.assay.views import LOG, Leaves, note_over, numbered
from tests.forgeries import honest
from tests.forgeries.forms import Listed, Obj, broken, forged
from tests.forgeries.lies import (
    MALFORMED,
    OK,
    REFUSED,
    USAGE,
    Lie,
    base64_of,
    bound,
    constant,
    spelled,
    wrong_types,
)
from tests.forgeries.logged import HASH, envelope_form
from tests.forgeries.notes import Made
from tests.forgeries.question import Asker, Question
from tests.forgeries.signatures import signature_lies, twin

PAYLOAD = honest.statement("moderation")
ENVELOPE = sign(PAYLOAD, honest.SIGNER)
ANOTHER = sign(b"something else", honest.SIGNER).signature


def questions() -> Iterator[Question]:
    """Forged parts of larger things."""
    yield from _envelopes()
    yield from _entries()
    yield from _compact()
    yield from _proofs()
    yield from _split_views()
    yield from _json()


def _envelopes() -> Iterator[Question]:
    asker = Asker(artefact="envelope", kind="envelope", fields={"key": honest.KEY})
    data = ENVELOPE.to_json()
    yield asker.honest(data)
    yield from asker.about(forged(envelope_form(ANOTHER), json.loads(data), REFUSED))
    yield from asker.about(broken(data))
    other = Envelope(payload=PAYLOAD, signature=twin(ENVELOPE.signature))
    # The twin verifies: an envelope alone cannot tell which of the two was logged.
    yield asker.honest(other.to_json(), "the signature's twin")
    keyed = json.loads(data)
    keyed["signatures"][0]["keyid"] = "x"
    yield asker.ask("a key id", canonical_json(keyed), REFUSED)
    for name, made in {
        "signed without PAE": honest.without_pae(PAYLOAD),
        "signed as another type": honest.of_type(PAYLOAD, "application/json"),
        "signed by mallory": sign(PAYLOAD, honest.mallory()),
    }.items():
        yield asker.ask(name, made.to_json(), REFUSED)


def _entries() -> Iterator[Question]:
    """A body is the template or is foreign; nobody parses one loosely."""
    asker = Asker(artefact="log entry", kind="entry")
    data = honest.body_of(ENVELOPE)
    value = json.loads(data)
    form = Obj(
        apiVersion=constant("0.0.1"),
        kind=constant("dsse"),
        spec=Obj(
            hashedRekordV002=Obj(
                data=Obj(algorithm=constant("SHA2_512"), digest=HASH),
                signature=Obj(
                    content=bound(base64_of(), MALFORMED),
                    verifier=Obj(
                        keyDetails=constant("PKIX_ED25519_PH"),
                        publicKey=Obj(rawBytes=base64_of()),
                    ),
                ),
            )
        ),
    )
    yield asker.honest(data)
    yield from asker.about(
        (name, made, family)
        for name, made, family in forged(form, value, OK)
        if not name.endswith("rawBytes has a bit flipped")  # whose key it is, is not asked here
    )
    yield from asker.about(broken(data))
    for name, made in {
        "has a space": data.replace(b":", b": ", 1),
        "has a newline after it": data + b"\n",
        "is escaped": data.replace(b"kind", b"k\\u0069nd", 1),
        "is in another order": json.dumps(
            {name: value[name] for name in ("kind", "apiVersion", "spec")}, separators=(",", ":")
        ).encode(),
    }.items():
        yield asker.ask(name, made, MALFORMED)
    for name, signature, family in signature_lies(ENVELOPE.signature, ANOTHER):
        made = honest.body_of(Envelope(payload=PAYLOAD, signature=signature))
        # Whose signature it is, is not asked here.
        yield asker.ask(f"signature {name}", made, OK if family == REFUSED else family)


def _compact() -> Iterator[Question]:
    asker = Asker(artefact="compact receipt", kind="compact")
    text = compact(ENVELOPE)
    payload, signature = text.split(".")
    yield asker.honest(text.encode())
    yield asker.honest(compact(sign(b"", honest.SIGNER)).encode(), "of an empty payload")
    for name, made in {
        "is empty": "",
        "has one part": payload,
        "has three parts": f"{text}.x",
        "has no signature": f"{payload}.",
        "has padding": f"{payload}.{signature}=",
        "is in the other alphabet": f"{payload}.{signature[:-4]}+/+/",
        "has a newline after it": f"{text}\n",
        "has a space": f" {text}",
        "has a letter too few": f"{payload}.{signature[:-3]}",
        "has stray bits": f"e31.{signature}",
        "has a wide letter": f"\uff21{text[1:]}",
        "is too long": f"{'A' * 2**21}.{signature}",
    }.items():
        yield asker.ask(name, made.encode(), MALFORMED)
    for name, wrong, family in signature_lies(ENVELOPE.signature, ANOTHER):
        made = compact(Envelope(payload=PAYLOAD, signature=wrong))
        yield asker.ask(f"signature {name}", made.encode(), OK if family == REFUSED else family)


# ------------------------------------------------------------------ proofs


def _proofs() -> Iterator[Question]:
    leaves = numbered(11)
    reader = Leaves(leaves)
    for index, size in ((0, 1), (2, 4), (6, 11), (10, 11)):
        proof = prove_inclusion(index, size, reader)
        asker = Asker(artefact=f"inclusion of {index} in {size}", kind="inclusion")
        honest_proof = _inclusion(leaves, index, size, proof)
        yield asker.honest(canonical_json(honest_proof))
        yield from asker.about(_proof_lies(honest_proof, ("index", "size"), ("leaf", "root")))
        beyond = canonical_json({**honest_proof, "index": size})
        yield asker.ask("index is beyond the tree", beyond, REFUSED)
    for old, new in ((1, 2), (4, 7), (6, 11), (8, 11)):
        asker = Asker(artefact=f"consistency of {old} and {new}", kind="consistency")
        grown = {
            "oldSize": old,
            "oldRoot": encode_base64(root_of(leaves[:old])),
            "newSize": new,
            "newRoot": encode_base64(root_of(leaves[:new])),
            "hashes": [encode_base64(item) for item in prove_consistency(old, new, reader)],
        }
        yield asker.honest(canonical_json(grown))
        lies = _proof_lies(grown, ("oldSize", "newSize"), ("oldRoot", "newRoot"))
        yield from asker.about(lies)
        same = {**grown, "oldSize": new, "hashes": []}
        yield asker.ask("one size, two roots", canonical_json(same), REFUSED)
        shrunk = {**grown, "oldSize": new, "newSize": old}
        yield asker.ask("the tree shrank", canonical_json(shrunk), REFUSED)


def _inclusion(leaves: list[bytes], index: int, size: int, proof: list[bytes]) -> dict[str, Any]:
    return {
        "index": index,
        "size": size,
        "leaf": encode_base64(leaves[index]),
        "root": encode_base64(root_of(leaves[:size])),
        "hashes": [encode_base64(item) for item in proof],
    }


def _proof_lies(value: dict[str, Any], numbers: tuple[str, ...], roots: tuple[str, ...]) -> Made:
    hashes = value["hashes"]
    wrong = encode_base64(leaf_hash(b"wrong"))
    for name in roots:
        yield f"{name} is another", canonical_json({**value, name: wrong}), REFUSED
        cut = encode_base64(base64.b64decode(value[name])[:-1])
        yield f"{name} is 31 bytes", canonical_json({**value, name: cut}), MALFORMED
    for name in numbers:
        yield f"{name} is negative", canonical_json({**value, name: -1}), MALFORMED
    for number in range(len(hashes)):
        changed = [*hashes[:number], wrong, *hashes[number + 1 :]]
        yield f"hash[{number}] is another", canonical_json({**value, "hashes": changed}), REFUSED
        less = [*hashes[:number], *hashes[number + 1 :]]
        yield f"hash[{number}] is missing", canonical_json({**value, "hashes": less}), REFUSED
        short = [*hashes[:number], encode_base64(bytes(31)), *hashes[number + 1 :]]
        yield f"hash[{number}] is 31 bytes", canonical_json({**value, "hashes": short}), MALFORMED
    longer = canonical_json({**value, "hashes": [*hashes, wrong]})
    yield "a hash is too many", longer, REFUSED
    many = canonical_json({**value, "hashes": [wrong] * 64})
    yield "there are 64 hashes", many, MALFORMED
    if hashes != hashes[::-1]:
        turned = canonical_json({**value, "hashes": hashes[::-1]})
        yield "the hashes are turned round", turned, REFUSED


# ------------------------------------------------------------------ evidence of a fork


def _split_views() -> Iterator[Question]:
    asker = Asker(artefact="split view", kind="split-view", options={"vkey": str(LOG)})
    old, new = numbered(6, b"before "), numbered(11)
    value = _evidence(old, new)
    yield asker.honest(canonical_json(value))
    form = Obj(
        type=constant("urn:assay:split-view:v2"),
        first=_any_note,
        second=_any_note,
        left=Listed(HASH, short=MALFORMED, long=MALFORMED),
        right=Listed(HASH, short=MALFORMED, long=MALFORMED),
    )
    yield from asker.about(forged(form, value, REFUSED))
    yield from asker.about(broken(canonical_json(value)))
    one_size = _evidence(numbered(6), old)
    yield asker.honest(canonical_json(one_size), "of one size")
    for name, made, family in (
        ("of a log that only grew", _evidence(numbered(6), new), REFUSED),
        ("of one tree, twice", _evidence(new, new), REFUSED),
        (
            "with the larger tree first",
            {**value, "first": value["second"], "second": value["first"]},
            MALFORMED,
        ),
        ("of one size, with a hash", {**one_size, "left": value["left"][:1]}, MALFORMED),
        ("with the hashes exchanged", {**value, "left": value["left"][::-1]}, REFUSED),
        ("of another log", _evidence(old, new, origin="log2.example.org"), REFUSED),
    ):
        yield asker.ask(name, canonical_json(made), family)
    witness = honest.vkey("witness1")
    yield asker.ask("asked of a witness's key", canonical_json(value), USAGE, vkey=witness)
    other = honest.vkey("other_log")
    yield asker.ask("asked of another log's key", canonical_json(value), REFUSED, vkey=other)


def _any_note(value: str) -> Iterator[Lie]:
    """The shapes of a note; what its checkpoint says is for the lies about checkpoints."""
    yield from wrong_types("text")
    for name, made in {
        "has no final newline": value[:-1],
        "has no empty line": value.replace("\n\n", "\n"),
        "is empty": "",
        "has a hyphen": value.replace("—", "-"),
    }.items():
        yield Lie(name, spelled(made))
    wrong = f"{value[:-8]}AAAAAA=\n" if value[-2] == "=" else value
    yield Lie("is not what the log signed", spelled(wrong), REFUSED)


def _evidence(old: list[bytes], new: list[bytes], **said: Any) -> dict[str, Any]:
    reader, same = Leaves(new), len(old) == len(new)
    left = () if same else read_cover(0, len(old), reader)
    right = () if same else read_cover(len(old), len(new), reader)
    return {
        "type": "urn:assay:split-view:v1",
        "first": note_over(old, **said).decode(),
        "second": note_over(new, **said).decode(),
        "left": [encode_base64(item) for item in left],
        "right": [encode_base64(item) for item in right],
    }


# ------------------------------------------------------------------ JSON


def _json() -> Iterator[Question]:
    asker = Asker(artefact="JSON", kind="json")
    for text in (
        "0", "-1", "1.5", "1e5", "1E-5", "-0.0", "9007199254740991", "-9007199254740991", "1e308",
        "true", "null", '""', "[]", "{}", ' [ 1 , {"a" : [ ] } ]\r\n\t ', '"\\u0000"',
        '"\\ud83d\\ude00"', '"\u2028"', '"\x7f"', '{"":1}', '{"a":1,"A":2}', '{"__proto__":1}',
        '"\\/"', "5e-324", "1e-400", "[" * 64 + "]" * 64, '{"\\u00e9":1,"e\\u0301":2}',
    ):  # fmt: skip
        yield asker.honest(text.encode(), f"{text[:40]!r}")
    for text in (
        "", " ", "01", "-", "-01", "1.", ".5", "1e", "1e+", "+1", "0x1", "1_0", "NaN", "Infinity",
        "-Infinity", "1e400", "-1e400", "9007199254740992", "-9007199254740992",
        "123456789012345678901234567890", "9" * 5000, "True", "nul", "undefined", "'a'", '"', '"a',
        '"\\"', '"\\x"', '"\\u12"', '"\\u12g4"', '"\\ud800"', '"\\udc00\\ud800"', '"\\ud800x"',
        '"\t"', '"\n"', '"\x00"', "[1,]", "[,1]", "[1 2]", "[1", "]", '{"a"}', '{"a":}', '{a:1}',
        '{"a":1,}', '{"a":1 "b":2}', '{1:2}', '{"a":1,"a":1}', '{"a":1,"\\u0061":1}',
        '{"__proto__":1,"__proto__":2}', "1 2", "[]]", "/**/1", "1//", "\ufeff1",
        "\u00a01", "1\u2028", "\x0b1", "[" * 65 + "]" * 65, '{"a":' * 65 + "1" + "}" * 65,
        '{"\\ud800":1}', "1\x00",
        "\uff11", '"\\U0041"', "1.5.5", "--1", "1e5.5", "[" * 200_000, '{"a":' * 100_000,
    ):  # fmt: skip
        yield asker.ask(f"{text[:40]!r} of {len(text)}", text.encode(), MALFORMED)
    for name, data in {
        "a byte that is no letter": b'"\xff"',
        "an overlong quotation mark": b"\xc0\xa2",
        "a surrogate in UTF-8": b'"\xed\xa0\x80"',
        "a letter beyond Unicode": b'"\xf4\x90\x80\x80"',
        "a letter that is cut": b'"\xc3"',
        "UTF-16": '"a"'.encode("utf-16-le"),
        "above what a bundle may have": b" " * (4 * 2**20) + b"1",
        "quotation marks without end": b'["' + b'\\"' * 500_000,
    }.items():
        yield asker.ask(name, data, MALFORMED)
