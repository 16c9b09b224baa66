"""What `assay.verify` says of claims, step by step, for the tests of the browser's verifier.

`python -m tests.js.verified` writes the file: questions as tests/js/verdict.mjs takes them, and
what Python answers: the family, the error's words, the steps that passed. static/js/assay/verify
must say the same, word for word.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from assay.bundle import render_bundle
from assay.canonical import canonical_json, decode_base64, encode_base64
from assay.digests import sha256_hex
from assay.dsse import load_public_key
from assay.errors import (
    AssayError,
    FormatError,
    MisuseError,
    SplitViewError,
    UnavailableError,
    VerificationError,
)
from assay.manifest import OMS, Manifest, parse_manifest
from assay.merkle import leaf_hash, prove_consistency, root_of
from assay.policy import parse_policy, parse_trusted_root, verify_checkpoint
from assay.statements import RELEASE, Observed
from assay.verify import (
    Policy,
    TrustedKey,
    Verified,
    parse_keys,
    verify_alias,
    verify_bundle,
    verify_receipt,
)
from tests.assay import claims
from tests.assay.vectors import VECTORS, values, vector
from tests.assay.views import Leaves
from tests.forgeries import honest

TARGET = VECTORS.parent / "js" / "verified.json"
FAMILIES: tuple[tuple[type[AssayError], str], ...] = (
    (MisuseError, "usage"),
    (FormatError, "malformed"),
    (SplitViewError, "split view"),
    (VerificationError, "refused"),
    (UnavailableError, "could not check"),
)
VERIFIERS: dict[str, Callable[..., Verified]] = {
    "receipt": verify_receipt,
    "alias": verify_alias,
    "bundle": verify_bundle,
    "oms": verify_bundle,
}
EXECUTOR = {"role": "executor", "owner": "", "index": honest.REGISTRATION}
ALICE = {"role": "publisher", "owner": "alice", "index": honest.REGISTRATION}
LEAVES = [leaf_hash(b"before"), leaf_hash(b"again"), leaf_hash(b"after")]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question of tests/js/verdict.mjs."""

    id: str
    kind: str
    data: bytes
    fields: dict[str, bytes] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    def ask(self, name: str, /, *, data: bytes | None = None, **changed: Any) -> Asked:
        """Return the same question with other fields (bytes) and options, None for none."""
        fields = {**self.fields, **{k: v for k, v in changed.items() if isinstance(v, bytes)}}
        options = {**self.options, **{k: v for k, v in changed.items() if k not in fields}}
        for gone in [k for k, v in changed.items() if v is None]:
            fields.pop(gone, None)
            options.pop(gone, None)
        return replace(self, id=name, data=data or self.data, fields=fields, options=options)


def _held(fields: dict[str, bytes], options: dict[str, Any]) -> dict[str, Any]:
    root = parse_trusted_root(fields["trustedRoot"])
    witnesses = parse_policy(fields["policy"]) if "policy" in fields else None

    def believe(name: str) -> Any:
        if name not in fields:
            return None
        log = root.logs[0]
        return verify_checkpoint(fields[name], origin=log.origin, log=log.vkey, policy=witnesses)

    proof = [decode_base64(text) for text in options.get("consistency", [])]
    return {
        "trusted_root": root,
        "policy": Policy(
            witnesses=witnesses,
            max_age=options.get("maxAge"),
            now=options.get("now"),
            known_to=believe("knownTo"),
        ),
        "registration": fields.get("registration"),
        "remembered": believe("remembered"),
        "consistency": (lambda old, new: proof) if "consistency" in options else None,
    }


def _key(asked: Asked) -> TrustedKey:
    if "keys" in asked.fields:
        return parse_keys(asked.fields["keys"]).keys[0]
    said = {**asked.options.get("trusted", {})}
    if "revokedLog" in said:
        said["revoked_log"] = said.pop("revokedLog")
    return TrustedKey(key=load_public_key(asked.fields["key"]), **said)


def _beside(asked: Asked) -> dict[str, Any]:
    fields, options = asked.fields, asked.options
    if asked.kind == "receipt":
        names = {"inputSalt": "input_salt", "outputSalt": "output_salt"}
        sets = ("input", "inputSalt", "output", "outputSalt")
        return {names.get(name, name): fields.get(name) for name in sets}
    manifest = parse_manifest(fields["manifest"]) if "manifest" in fields else None
    if asked.kind == "alias":
        return {"manifest": manifest}
    return {
        "manifest": manifest,
        "predicate_type": options.get("predicateType", OMS if asked.kind == "oms" else RELEASE),
        "file_sha256": options.get("fileSha256"),
        "without_file": options.get("withoutFile", False),
    }


def answer(asked: Asked) -> dict[str, Any]:
    """Return the question, with what Python says."""
    steps: list[dict[str, Any]] = []

    def on_step(step: Any) -> None:
        steps.append({"number": step.number, "name": step.name, "detail": step.detail})

    family, reason = "ok", ""
    try:
        held = _held(asked.fields, asked.options)
        verify = VERIFIERS[asked.kind]
        verify(asked.data, key=_key(asked), on_step=on_step, **held, **_beside(asked))
    except AssayError as error:
        family = next(name for kind, name in FAMILIES if isinstance(error, kind))
        reason = str(error)
    return {
        "id": asked.id,
        "kind": asked.kind,
        "fields": {"data": asked.data, **asked.fields},
        "options": {**asked.options, "steps": True},
        "answer": {"family": family, "reason": reason, "steps": steps},
    }


# ------------------------------------------------------------------ the questions


def _manifest(manifest: Manifest) -> bytes:
    return canonical_json(manifest.to_list())


def _receipts() -> Iterator[Asked]:
    fields = {
        "key": honest.KEY,
        "trustedRoot": honest.TRUSTED_ROOT,
        "policy": honest.POLICY,
        "input": honest.INPUT,
        "output": honest.OUTPUT,
    }
    receipt = Asked(
        id="a receipt with both sets of tensors",
        kind="receipt",
        data=honest.receipt(),
        fields=fields,
        options={"trusted": EXECUTOR},
    )
    yield receipt
    yield receipt.ask("a receipt alone", input=None, output=None)
    yield receipt.ask("a key that the caller vouches for", trusted=None)
    yield receipt.ask("no policy", policy=None)
    yield receipt.ask("the reader's list of keys", keys=honest.keys_document())
    yield receipt.ask("another output", output=honest.OTHER_TENSORS)
    yield receipt.ask("another input", input=honest.OTHER_TENSORS)
    yield receipt.ask("a salt without tensors", output=None, outputSalt=claims.SALT)
    for role in ("publisher", "auditor"):
        yield receipt.ask(f"the key of a {role}", trusted={**EXECUTOR, "role": role})
    for name, more in (
        ("a key registered later", {"index": 3}),
        ("a key revoked before", {"revoked": 2}),
        ("a key revoked after", {"revoked": 3}),
        ("a key of a log that nobody names", {"log": "old.example.org"}),
    ):
        yield receipt.ask(name, trusted={**EXECUTOR, **more})
    other = Observed(origin=honest.ORIGIN, tree_size=3, root_hash="ab" * 32)
    yield receipt.ask("a tree that came later", data=honest.receipt(observed=other))
    yield from _private(receipt)
    yield from _registered(receipt)
    yield from _fresh(receipt)


def _private(receipt: Asked) -> Iterator[Asked]:
    hidden = {
        "input": claims.private_set(honest.INPUT),
        "output": claims.private_set(honest.OUTPUT),
    }
    predicate = claims.execution(observed=honest.OBSERVED, **hidden)
    data = claims.receipt_of(predicate)
    private = receipt.ask(
        "a private execution", data=data, inputSalt=claims.SALT, outputSalt=claims.SALT
    )
    yield private
    yield private.ask("a private execution without its salts", inputSalt=None, outputSalt=None)
    yield private.ask("a private execution with another salt", outputSalt=bytes(32))


def _registered(receipt: Asked) -> Iterator[Asked]:
    claim = honest.bundle_of(honest.statement("execution"), role="executor")
    entry = honest.registration_bundle("executor", claim)
    yield receipt.ask("the key's registration", registration=entry)
    yield receipt.ask("the key's registration alone", registration=entry, trusted=None)
    yield receipt.ask("a registration elsewhere", registration=entry, trusted={"index": 3})
    lies = {
        "role": honest.registration("auditor"),
        "owner": honest.registration("executor", owner="bob"),
        "action": honest.registration("executor", action="revoke"),
    }
    for name, payload in lies.items():
        bent = render_bundle(honest.registration_of(payload, claim))
        yield receipt.ask(f"a registration with another {name}", registration=bent, trusted=None)
        yield receipt.ask(f"a listed key, registered with another {name}", registration=bent)
    yield receipt.ask("a receipt as the registration", registration=receipt.data)


def _fresh(receipt: Asked) -> Iterator[Asked]:
    now = claims.TIME + 61
    yield receipt.ask("an age that is allowed", now=now, maxAge=60)
    yield receipt.ask("an age that is not allowed", now=now + 1, maxAge=60)
    yield receipt.ask("a time and any age", now=now)
    yield receipt.ask("an age without a time", maxAge=60)
    yield receipt.ask("an age below nothing", now=now, maxAge=-1)
    yield receipt.ask("an age without witnesses", now=now, maxAge=60, policy=None)
    yield receipt.ask("a clock that is a little late", now=now - 361, maxAge=60)
    yield receipt.ask("a clock that is late", now=now - 362, maxAge=60)
    late = honest.bundle_of(honest.statement("execution"), role="executor", time=2**40)
    yield receipt.ask("a cosignature after the year 9999", data=render_bundle(late), now=now)
    last = honest.bundle_of(honest.statement("execution"), role="executor", time=2**63 - 3)
    yield receipt.ask("the last cosignature of all", data=render_bundle(last), now=now)
    yield from _remembered(receipt)


def _remembered(receipt: Asked) -> Iterator[Asked]:
    claim = honest.bundle_of(honest.statement("execution"), role="executor")
    tree = honest.leaves(honest.leaf_of(claim), honest.registered_leaf("executor"))
    old, new = tree[:2], [*tree, leaf_hash(b"more")]
    for name, seen in (("an older tree", old), ("a newer tree", new), ("the same tree", tree)):
        shorter, longer = sorted((seen, tree), key=len)
        proof = prove_consistency(len(shorter), len(longer), Leaves(longer))
        note = claims.checkpoint(len(seen), root_of(seen))
        hashes = [encode_base64(item) for item in proof]
        yield receipt.ask(f"{name} is remembered", remembered=note, consistency=hashes)
        yield receipt.ask(f"{name} is remembered, no proof", remembered=note)
        yield receipt.ask(f"{name} is known", knownTo=note)
    wrong = claims.checkpoint(3, root_of(LEAVES))
    hashes = [encode_base64(item) for item in LEAVES[:2]]
    yield receipt.ask("another history is remembered", remembered=wrong, consistency=hashes)
    fork = claims.checkpoint(len(tree), root_of([*LEAVES, LEAVES[0]]))
    yield receipt.ask("a fork is remembered", remembered=fork)
    yield receipt.ask("a fork is known", knownTo=fork)


def _bundles() -> Iterator[Asked]:
    fields = {"key": honest.KEY, "trustedRoot": honest.TRUSTED_ROOT, "policy": honest.POLICY}
    release = Asked(
        id="a release without its files",
        kind="bundle",
        data=vector("bundle.json"),
        fields=fields,
        options={"withoutFile": True},
    )
    yield release
    digest = values()["oms"]["files"]["model.onnx"]
    held = release.ask("a release and a file", withoutFile=None, fileSha256=digest)
    yield held
    yield held.ask("a release and another file", fileSha256=sha256_hex(b""))
    yield held.ask("a release and a name of no file", fileSha256=digest.upper())
    yield held.ask("two things to check against", withoutFile=True)
    yield release.ask("another type", predicateType=OMS)
    folder = Manifest.from_pairs(values()["oms"]["files"].items())
    oms = replace(release, kind="oms", data=vector("oms.bundle.json")).ask(
        "a folder", withoutFile=None, manifest=_manifest(folder)
    )
    yield oms
    yield oms.ask("another folder", manifest=_manifest(honest.FOLDER))
    yield from _aliases(fields)


def _aliases(fields: dict[str, bytes]) -> Iterator[Asked]:
    alias = Asked(
        id="an alias without the folder",
        kind="alias",
        data=render_bundle(honest.bundle_of(honest.statement("alias"))),
        fields=fields,
        options={"trusted": ALICE},
    )
    yield alias
    yield alias.ask("an alias and its folder", manifest=_manifest(honest.FOLDER))
    yield alias.ask(
        "an alias and another folder",
        manifest=_manifest(Manifest.from_pairs([("model.onnx", "ab" * 32)])),
    )
    new = honest.statement("alias", previous=None)
    yield alias.ask("a new alias", data=render_bundle(honest.bundle_of(new)))
    yield alias.ask("bob moves alice's alias", trusted={**ALICE, "owner": "bob"})


def make() -> bytes:
    """Return the fixture, RFC 8785 with a final newline.

    `rows` are the questions, whose `fields` name bytes in `held` by place; `statements` one honest
    statement of each kind.
    """
    rows = [answer(asked) for asked in (*_receipts(), *_bundles())]
    held = list(dict.fromkeys(data for row in rows for data in row["fields"].values()))
    for row in rows:
        row["fields"] = {name: held.index(data) for name, data in row["fields"].items()}
    statements = {kind: encode_base64(honest.statement(kind)) for kind in honest.predicates()}
    value = {"held": [encode_base64(item) for item in held], "rows": rows, "statements": statements}
    return canonical_json(value) + b"\n"


if __name__ == "__main__":
    TARGET.write_bytes(make())
    sys.stdout.write(f"{TARGET}\n")
