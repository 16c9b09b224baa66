"""Forged receipts and bundles: the bundle's own fields, and claims whose signer lies."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

from assay.bundle import Bundle, render_bundle
from assay.canonical import encode_base64
from assay.dsse import sign
from tests.forgeries import honest, notes
from tests.forgeries.forms import Listed, Maybe, Obj, broken, forged
from tests.forgeries.lies import (
    MALFORMED,
    OK,
    REFUSED,
    Leaf,
    Lie,
    any_text,
    base64_of,
    bound,
    constant,
    decimal,
    spelled,
    wrong_types,
)
from tests.forgeries.question import Asker, Question
from tests.forgeries.signatures import signature_lies, twin

HASH = base64_of(32)


def note_text(value: str) -> Iterator[Lie]:
    """A signed checkpoint inside JSON."""
    yield from wrong_types("text")
    yield Lie("is a lone surrogate", '"\\ud800"')
    for name, data, family in notes.checkpoint_lies(value.encode()):
        try:
            yield Lie(name, spelled(data.decode()), family)
        except UnicodeDecodeError:
            continue  # JSON cannot even carry it


def signature_text(another: bytes) -> Leaf:
    """A signature in base64; `another` is one over other bytes."""

    def lies(value: str) -> Iterator[Lie]:
        yield from bound(base64_of(), MALFORMED)(value)  # its second byte is its length
        for name, data, family in signature_lies(base64.b64decode(value), another):
            yield Lie(name, spelled(encode_base64(data)), family)

    return lies


def envelope_form(another: bytes) -> Obj:
    return Obj(
        payload=base64_of(),
        payloadType=constant("application/json", REFUSED),
        signatures=Listed(Obj(sig=signature_text(another)), short=MALFORMED, long=MALFORMED),
    )


def bundle_form(another: bytes) -> Obj:
    """The bundle; every well-formed change of it is refused."""
    proof = Obj(
        logIndex=Maybe(decimal),
        rootHash=HASH,
        treeSize=Maybe(decimal),
        hashes=Maybe(Listed(HASH)),
        checkpoint=Obj(envelope=note_text),
    )
    kind = Obj(kind=constant("dsse", REFUSED), version=constant("0.0.1", REFUSED))
    entry = Obj(
        logIndex=Maybe(decimal),
        logId=Obj(keyId=HASH),
        kindVersion=kind,
        inclusionProof=proof,
        canonicalizedBody=base64_of(),
    )
    return Obj(
        mediaType=constant("application/vnd.dev.sigstore.bundle.v0.4+json"),
        verificationMaterial=Obj(
            publicKey=Obj(hint=Maybe(any_text, absent=OK)),
            tlogEntries=Maybe(Listed(entry, short=REFUSED, long=MALFORMED), absent=REFUSED),
        ),
        dsseEnvelope=envelope_form(another),
    )


def bundle_lies(bundle: Bundle) -> notes.Made:
    """Every lie about the bundle around one claim."""
    data = render_bundle(bundle)
    another = sign(b"something else", honest.SIGNER).signature
    yield from forged(bundle_form(another), json.loads(data), REFUSED)
    yield from broken(data)
    yield from _added(json.loads(data))
    yield from _resigned(bundle)


Change = Callable[[dict[str, Any]], object]


def _material(value: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = value["verificationMaterial"]
    return found


def _entry(value: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = _material(value)["tlogEntries"][0]
    return found


def _entry_with(**fields: Any) -> Change:
    return lambda value: _entry(value).update(fields)


def _material_with(**fields: Any) -> Change:
    return lambda value: _material(value).update(fields)


def _keyid(keyid: Any) -> Change:
    return lambda value: value["dsseEnvelope"]["signatures"][0].update(keyid=keyid)


_PROMISE = {"signedEntryTimestamp": "AA=="}
# What a bundle may hold in the standard, and does not hold here; and odd spellings of nothing.
_CHANGES: tuple[tuple[str, Change, str], ...] = (
    ("has a certificate beside its key", _material_with(certificate={}), REFUSED),
    ("has a chain of certificates", _material_with(x509CertificateChain={}), REFUSED),
    ("has time stamps", _material_with(timestampVerificationData={}), MALFORMED),
    ("has a message signature", lambda value: value.update(messageSignature={}), MALFORMED),
    ("has an integrated time", _entry_with(integratedTime="1767225600"), REFUSED),
    ("has an integrated time in a number", _entry_with(integratedTime=1), MALFORMED),
    ("has an integrated time of 0", _entry_with(integratedTime="0"), OK),
    ("has a promise", _entry_with(inclusionPromise=_PROMISE), REFUSED),
    ("has no promise, in words", _entry_with(inclusionPromise=None), OK),
    ("has a key id", _keyid("x"), REFUSED),
    ("has a number for a key id", _keyid(1), MALFORMED),
    ("has an empty key id", _keyid(""), OK),
    ("has no key id, in words", _keyid(None), OK),
    ("has an empty hint", _material_with(publicKey={"hint": ""}), OK),
    (
        "has 64 hashes",
        lambda value: _entry(value)["inclusionProof"].update(hashes=["AA=="] * 64),
        MALFORMED,
    ),
    (
        "has its hashes exchanged",
        lambda value: _entry(value)["inclusionProof"]["hashes"].reverse(),
        REFUSED,
    ),
)


def _added(value: dict[str, Any]) -> notes.Made:
    changes: tuple[tuple[str, Change, str], ...] = (
        *_CHANGES,
        ("has a certificate for a key", _certificate, REFUSED),
        ("has both indices changed", _both_indices, REFUSED),
        ("is of a later index", lambda changed: _both_indices(changed, "4"), REFUSED),
        ("has its log's id cut to four bytes", _short_id, REFUSED),
    )
    for name, change, family in changes:
        changed = json.loads(spelled(value))
        change(changed)
        yield f"whole {name}", spelled(changed).encode(), family
    yield "whole is indented", json.dumps(value, indent=2).encode(), OK
    yield "whole is escaped", json.dumps(value, ensure_ascii=True).encode(), OK
    yield "whole has spaces around it", b" \t\r\n" + spelled(value).encode() + b"\n ", OK


def _certificate(value: dict[str, Any]) -> None:
    _material(value).pop("publicKey")
    _material(value)["certificate"] = {"rawBytes": "AA=="}


def _both_indices(value: dict[str, Any], index: str = "3") -> None:
    entry = _entry(value)
    entry["logIndex"] = entry["inclusionProof"]["logIndex"] = index


def _short_id(value: dict[str, Any]) -> None:
    log_id = _entry(value)["logId"]
    log_id["keyId"] = encode_base64(base64.b64decode(log_id["keyId"])[:4] + bytes(28))


def _resigned(bundle: Bundle) -> notes.Made:
    """Bundles put together from honest parts, and from parts that somebody signed."""
    payload = bundle.envelope.payload
    other = honest.twin_of(bundle, twin(bundle.envelope.signature))
    spaced = bundle.entry.body.replace(b":", b": ")
    for name, made in {
        "signed by mallory": honest.bundle_of(payload, key=honest.mallory()),
        "signed by mallory, hinting at the signer": honest.with_hint(
            honest.bundle_of(payload, key=honest.mallory()), bundle.hint
        ),
        "has the signature's twin": other,
        "has the signature's twin, and the log has too": honest.bundle_of(
            payload, envelope=other.envelope, body=bundle.entry.body
        ),
        "is logged with spaces in its body": honest.bundle_of(payload, body=spaced),
        "is logged as another's": honest.bundle_of(payload, body=_mallorys(payload)),
        "is signed without PAE": honest.bundle_of(payload, envelope=honest.without_pae(payload)),
        "is signed as another payload type": honest.bundle_of(
            payload, envelope=honest.of_type(payload, "application/json")
        ),
        "is in another log": honest.elsewhere(bundle, "other_log"),
    }.items():
        yield f"whole {name}", render_bundle(made), REFUSED
    oms = honest.with_hint(bundle, honest.oms_hint())
    yield "whole has the hint of model_signing", render_bundle(oms), OK


def _mallorys(payload: bytes) -> bytes:
    return honest.body_of(sign(payload, honest.mallory()), honest.mallory())


def logged_as(payload: bytes, role: str = "executor") -> bytes:
    """Return the bundle of whatever the signer signed, registered for this role."""
    return render_bundle(honest.bundle_of(payload, role=role))


PINS = {"trustedRoot": honest.TRUSTED_ROOT, "policy": honest.POLICY, "key": honest.KEY}


def questions() -> Iterator[Question]:
    """Every field of a receipt, and of the bundle of a release."""
    receipt = Asker(
        artefact="receipt",
        kind="receipt",
        fields={**PINS, "output": honest.OUTPUT, "input": honest.INPUT},
    )
    execution = honest.bundle_of(honest.statement("execution"), role="executor")
    yield receipt.honest(render_bundle(execution))
    yield from receipt.about(bundle_lies(execution))
    release = Asker(
        artefact="bundle",
        kind="bundle",
        fields=PINS,
        options={"predicateType": "urn:assay:release:v1", "fileSha256": honest.GRAPH},
    )
    bundle = honest.bundle_of(honest.statement("release"))
    yield release.honest(render_bundle(bundle))
    yield from release.about(bundle_lies(bundle))
