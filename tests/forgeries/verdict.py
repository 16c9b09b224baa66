"""The Python verifier behind the questions of tests/js/verdict.mjs: the same fields, in that order.

Only what the reader holds is turned into arguments here; every judgement is the verifier's.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from assay.bundle import parse_bundle
from assay.canonical import parse_json
from assay.digests import sha256_hex
from assay.dsse import (
    PublicKey,
    load_public_key,
    parse_compact,
    parse_envelope,
    parse_rekor_body,
    verify_envelope,
)
from assay.errors import (
    AssayError,
    FormatError,
    MisuseError,
    SplitViewError,
    UnavailableError,
    VerificationError,
)
from assay.manifest import OMS, parse_manifest
from assay.merkle import check_consistency, check_inclusion
from assay.note import VKey, open_note, parse_note
from assay.policy import TlogPolicy, parse_policy, parse_trusted_root, verify_checkpoint
from assay.receipt import parse_receipt, parse_tlog_proof
from assay.splitview import check_split_view, parse_split_view
from assay.statements import RELEASE, Runtime, parse_predicate, parse_statement
from assay.tensors import decode_tensors
from assay.verify import (
    KeyRing,
    Policy,
    TrustedKey,
    parse_keys,
    verify_alias,
    verify_bundle,
    verify_receipt,
    verify_tlog_proof,
)
from tests.forgeries.question import Question

_FAMILIES: tuple[tuple[type[AssayError], str], ...] = (
    (MisuseError, "usage"),
    (FormatError, "malformed"),
    (SplitViewError, "split view"),
    (VerificationError, "refused"),
    (UnavailableError, "could not check"),
)


def verdict(question: Question) -> tuple[str, str]:
    """Return the family of the answer, and the error's words."""
    try:
        _KINDS[question.kind](question)
    except AssayError as error:
        family = next(name for kind, name in _FAMILIES if isinstance(error, kind))
        return family, str(error)
    return "ok", ""


def _held(asked: Question) -> dict[str, Any]:
    """Return what the reader of a claim holds, as arguments of the verifier."""
    fields, options = asked.fields, asked.options
    root = parse_trusted_root(fields["trustedRoot"])
    policy = _policy(asked)
    ring = parse_keys(fields["keys"]) if "keys" in fields else None
    key = ring.find(parse_bundle(asked.data).hint) if ring else _key(asked)
    log = root.logs[0]
    seen = {
        name: verify_checkpoint(fields[name], origin=log.origin, log=log.vkey, policy=policy)
        for name in ("remembered", "knownTo")
        if name in fields
    }
    held: dict[str, Any] = {
        "trusted_root": root,
        "policy": Policy(
            witnesses=policy,
            keys=ring or KeyRing(keys=()),
            max_age=options.get("maxAge"),
            now=options.get("now"),
            known_to=seen.get("knownTo"),
        ),
        "key": key,
        "registration": fields.get("registration"),
        "remembered": seen.get("remembered"),
    }
    if "consistency" in options:
        proof = [base64.b64decode(text) for text in options["consistency"]]
        held["consistency"] = lambda old, new: proof
    if "manifest" in fields:
        held["manifest"] = parse_manifest(fields["manifest"])
    return held


def _policy(asked: Question) -> TlogPolicy | None:
    return parse_policy(asked.fields["policy"]) if "policy" in asked.fields else None


def _key(asked: Question) -> PublicKey | TrustedKey:
    key = load_public_key(asked.fields["key"])
    said = asked.options.get("trusted")
    if said is None:
        return key
    names = {"revokedLog": "revoked_log"}
    return TrustedKey(key=key, **{names.get(name, name): value for name, value in said.items()})


def _receipt(asked: Question) -> None:
    if asked.options.get("parseOnly"):
        parse_receipt(asked.data)
        return
    names = {"inputSalt": "input_salt", "outputSalt": "output_salt"}
    sets = ("input", "inputSalt", "output", "outputSalt")
    held = [name for name in sets if name in asked.fields]
    given: dict[str, Any] = {names.get(name, name): asked.fields[name] for name in held}
    verify_receipt(asked.data, **_held(asked), **given)


def _registration(asked: Question) -> None:
    fields = {**asked.fields, "registration": asked.data}
    _receipt(replace(asked, data=fields.pop("claim"), fields=fields))


def _bundle(asked: Question, default: str = RELEASE) -> None:
    if asked.options.get("parseOnly"):
        parse_bundle(asked.data)
        return
    digest = asked.options.get("fileSha256")
    if "file" in asked.fields:
        digest = sha256_hex(asked.fields["file"])
    verify_bundle(
        asked.data,
        **_held(asked),
        predicate_type=asked.options.get("predicateType", default),
        file_sha256=digest,
        without_file=asked.options.get("withoutFile", False),
    )


def _alias(asked: Question) -> None:
    verify_alias(asked.data, **_held(asked))


def _log(asked: Question) -> tuple[str, VKey]:
    if "vkey" in asked.options:
        key = VKey.parse(asked.options["vkey"])
        return asked.options.get("origin", key.name), key
    log = parse_trusted_root(asked.fields["trustedRoot"]).logs[0]
    return asked.options.get("origin", log.origin), log.vkey


def _checkpoint(asked: Question) -> None:
    policy = _policy(asked)
    origin, log = _log(asked)
    verify_checkpoint(asked.data, origin=origin, log=log, policy=policy)


def _note(asked: Question) -> None:
    if "vkeys" not in asked.options:
        parse_note(asked.data)
        return
    open_note(asked.data, [VKey.parse(text) for text in asked.options["vkeys"]])


def _tlog_proof(asked: Question) -> None:
    if "leaf" not in asked.fields:
        parse_tlog_proof(asked.data)
        return
    policy = _policy(asked)
    origin, log = _log(asked)
    leaf = asked.fields["leaf"]
    verify_tlog_proof(asked.data, leaf=leaf, origin=origin, log=log, policy=policy)


def _inclusion(asked: Question) -> None:
    value = json.loads(asked.data)
    leaf, root = (base64.b64decode(value[name]) for name in ("leaf", "root"))
    proof = [base64.b64decode(text) for text in value["hashes"]]
    check_inclusion(leaf, value["index"], value["size"], proof, root)


def _consistency(asked: Question) -> None:
    value = json.loads(asked.data)
    old, new = (base64.b64decode(value[name]) for name in ("oldRoot", "newRoot"))
    proof = [base64.b64decode(text) for text in value["hashes"]]
    check_consistency(value["oldSize"], old, value["newSize"], new, proof)


def _envelope(asked: Question) -> None:
    envelope = parse_envelope(asked.data)
    if "key" in asked.fields:
        verify_envelope(envelope, load_public_key(asked.fields["key"]))


def _split_view(asked: Question) -> None:
    log = VKey.parse(asked.options["vkey"])
    check_split_view(parse_split_view(asked.data), log)


_KINDS: dict[str, Callable[[Question], object]] = {
    "receipt": _receipt,
    "bundle": _bundle,
    "oms": lambda asked: _bundle(asked, OMS),
    "alias": _alias,
    "registration": _registration,
    "checkpoint": _checkpoint,
    "cosignature": _note,
    "note": _note,
    "tlog-proof": _tlog_proof,
    "inclusion": _inclusion,
    "consistency": _consistency,
    "statement": lambda asked: parse_statement(asked.data),
    "predicate": lambda asked: parse_predicate(parse_statement(asked.data)),
    "manifest": lambda asked: parse_manifest(asked.data),
    "tensors": lambda asked: decode_tensors(asked.data),
    "policy": lambda asked: parse_policy(asked.data),
    "trusted-root": lambda asked: parse_trusted_root(asked.data),
    "keys": lambda asked: parse_keys(asked.data),
    "envelope": _envelope,
    "entry": lambda asked: parse_rekor_body(asked.data),
    "runtime": lambda asked: Runtime.from_dict(parse_json(asked.data)),
    "vkey": lambda asked: VKey.parse(asked.data.decode("utf-8")),
    "key": lambda asked: load_public_key(asked.data),
    "compact": lambda asked: parse_compact(asked.data.decode("utf-8")),
    "split-view": _split_view,
    "json": lambda asked: parse_json(asked.data),
}
