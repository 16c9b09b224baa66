"""Claims that are truly signed and truly logged, and questions that do not fit them.

Here the holder of the key lies, or the reader holds something else than the claim is about. Nothing
in the log can tell; only the last steps of a verifier can.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from assay.bundle import render_bundle
from assay.canonical import canonical_json, encode_base64
from assay.digests import sha256_hex
from assay.merkle import leaf_hash, root_of
from assay.statements import Statement, Subject, TensorSet, render
from tests.assay import claims
from tests.assay.vectors import vector
from tests.forgeries import honest
from tests.forgeries.folders import other_folder
from tests.forgeries.forms import broken, forged
from tests.forgeries.lies import (
    COULD_NOT_CHECK,
    MALFORMED,
    OK,
    REFUSED,
    SPLIT_VIEW,
    USAGE,
)
from tests.forgeries.logged import PINS, logged_as
from tests.forgeries.question import Asker, Question
from tests.forgeries.statements import decoded, form_of

SALT = claims.SALT
PRIVATE = TensorSet(form="commitment", sha256="")
RECEIPT = Asker(
    artefact="execution",
    kind="receipt",
    fields={**PINS, "output": honest.OUTPUT, "input": honest.INPUT},
)


def questions() -> Iterator[Question]:
    """Receipts, aliases, model signatures and releases whose signer or reader is mistaken."""
    yield from _executions()
    yield from _held()
    yield from _private()
    yield from _aliases()
    yield from _releases()
    yield from _revocations()
    yield from _remembered()


def _executions() -> Iterator[Question]:
    """The executor signs what no execution looks like, or one that is not this one."""
    for name, payload, family in forged(form_of("execution", REFUSED), decoded("execution"), None):
        yield RECEIPT.ask(f"signed {name}", logged_as(payload), family)
    for name, payload, family in broken(honest.statement("execution")):
        yield RECEIPT.ask(f"signed {name}", logged_as(payload), family)
    other = sha256_hex(honest.OTHER_TENSORS)
    about = honest.SUBJECTS["execution"]
    for name, subjects in {
        "the subject is another output": [Subject(name="output.tensors", sha256=other)],
        "there are two subjects": [*about, Subject(name="more", sha256=other)],
        "the output is the second subject": [Subject(name="more", sha256=other), *about],
        "the subject stands twice": [*about, *about],
    }.items():
        statement = honest.predicates()["execution"].statement(subjects)
        yield RECEIPT.ask(name, logged_as(render(statement)), REFUSED)
    nameless = replace(
        _statement("execution"), subjects=(Subject(name="", sha256=about[0].sha256),)
    )
    yield RECEIPT.honest(logged_as(render(nameless)), "the subject has no name")
    digestless = {**decoded("execution"), "subject": [{"digest": {"sha512": "ab" * 64}}]}
    yield RECEIPT.ask("the subject has no SHA-256", logged_as(canonical_json(digestless)), REFUSED)
    for name, size, family in (
        ("it saw the tree just before it", honest.CLAIM, OK),
        ("it saw a tree that holds it", honest.CLAIM + 1, REFUSED),
        ("it saw a tree far beyond it", 2**53 - 1, REFUSED),
    ):
        seen = replace(honest.OBSERVED, tree_size=size)
        yield RECEIPT.ask(name, honest.receipt(observed=seen), family)
    elsewhere = replace(honest.OBSERVED, origin="log2.example.org", tree_size=9)
    yield RECEIPT.honest(honest.receipt(observed=elsewhere), "it saw a tree of another log")
    for kind in ("release", "alias", "replay", "key", "moderation", "card"):
        yield RECEIPT.ask(f"it is a {kind}", logged_as(honest.statement(kind)), REFUSED)
    indented = json.dumps(decoded("execution"), indent=1).encode()
    yield RECEIPT.honest(logged_as(indented), "the statement is indented")


def _statement(kind: str) -> Statement:
    return honest.predicates()[kind].statement(honest.SUBJECTS[kind])


def _held() -> Iterator[Question]:
    """The reader holds other tensors, other keys, or other pins."""
    data = honest.receipt()
    yield RECEIPT.ask("the output at hand is another", data, REFUSED, output=honest.OTHER_TENSORS)
    yield RECEIPT.ask("the input at hand is another", data, REFUSED, input=honest.OTHER_TENSORS)
    yield RECEIPT.ask("the output at hand is empty", data, REFUSED, output=b"")
    yield RECEIPT.honest(data, "nothing is at hand", output=None, input=None)
    yield RECEIPT.honest(data, "no witness is asked for", policy=None)
    for name, key, family in _keys_at_hand():
        yield RECEIPT.ask(f"the key at hand {name}", data, family, key=key)
    for name, root, family in _roots_at_hand():
        yield RECEIPT.ask(f"the trusted root {name}", data, family, trustedRoot=root)
    for name, policy, family in _policies_at_hand():
        yield RECEIPT.ask(f"the policy {name}", data, family, policy=policy)
    for name, said, family in _said():
        yield RECEIPT.ask(f"the key is {name}", data, family, trusted=said)
    listed = Asker(
        artefact="execution by the list",
        kind="receipt",
        fields={**PINS, "keys": honest.keys_document()},
    )
    yield listed.honest(data, "the key is listed", key=None)
    yield listed.ask(
        "the hint is absent",
        render_bundle(honest.with_hint(honest.bundle_of(honest.statement("execution")), "")),
        REFUSED,
        key=None,
    )
    listings: dict[str, dict[str, Any]] = {
        "of another role": {"role": "publisher"},
        "registered after it": {"index": honest.CLAIM + 1},
        "revoked before it": {"revoked": honest.CLAIM - 1},
        "revoked at it": {"revoked": honest.CLAIM},
        "of a log that is not trusted": {"log": "log2.example.org"},
        "revoked in a log that is not trusted": {"revoked": 9, "revokedLog": "log2.example.org"},
    }
    for name, changed in listings.items():
        keys = honest.keys_document(**changed)
        yield listed.ask(f"the key is listed as {name}", data, REFUSED, key=None, keys=keys)
    nobody = canonical_json({"keys": []})
    yield listed.ask("the list is empty", data, REFUSED, key=None, keys=nobody)


def _keys_at_hand() -> Iterator[tuple[str, bytes, str]]:
    yield "is mallory's", honest.public(honest.mallory()).pem.encode(), REFUSED
    yield "is a private one", vector("signer.test-only.pem"), USAGE
    yield "is the log's", vector("log.pub"), USAGE
    yield "is no key", b"hello", USAGE
    yield "is nothing", b"", USAGE
    yield "is in DER", honest.public(honest.SIGNER).spki, OK


def _roots_at_hand() -> Iterator[tuple[str, bytes, str]]:
    value = json.loads(honest.TRUSTED_ROOT)
    yield "names no log", canonical_json({**value, "tlogs": []}), USAGE
    yield "is no JSON", b"{", MALFORMED
    yield "is a policy", honest.POLICY, MALFORMED
    yield "names another log", honest.trusted_root("other_log"), REFUSED
    host = "log2.example.org"
    yield "names another host", honest.trusted_root("log", host), REFUSED


def _policies_at_hand() -> Iterator[tuple[str, bytes, str]]:
    text = honest.POLICY.decode()
    yield "asks for all three witnesses", text.replace(" 2 ", " all ").encode(), REFUSED
    yield "asks for a witness that was silent", _quorum_of("witness3"), REFUSED
    yield "asks for one that cosigned", _quorum_of("witness1"), OK
    yield "names another log", f"log {honest.vkey('other_log')}\nquorum none\n".encode(), REFUSED
    yield "names no log", f"witness w {honest.vkey('witness1')}\nquorum w\n".encode(), OK
    yield "asks for nobody", b"quorum none\n", OK
    yield "is empty", b"", MALFORMED
    yield "has no quorum", f"log {honest.vkey('log')}\n".encode(), MALFORMED


def _quorum_of(name: str) -> bytes:
    return f"log {honest.vkey('log')}\nwitness w {honest.vkey(name)}\nquorum w\n".encode()


def _said() -> Iterator[tuple[str, dict[str, Any], str]]:
    """What the reader's list says of the key that signed."""
    here, later = honest.ORIGIN, "log2.example.org"
    yield "an executor's", {"role": "executor"}, OK
    for role in ("publisher", "auditor", "registry"):
        yield f"of the role {role}", {"role": role}, REFUSED
    yield "registered just before", {"index": honest.REGISTRATION, "log": here}, OK
    yield "registered at the same index", {"index": honest.CLAIM}, OK
    yield "registered later", {"index": honest.CLAIM + 1}, REFUSED
    yield "revoked later", {"index": 0, "revoked": honest.CLAIM + 1}, OK
    yield "revoked at the same index", {"index": 0, "revoked": honest.CLAIM}, REFUSED
    yield "revoked before", {"index": 0, "revoked": honest.REGISTRATION}, REFUSED
    yield "registered in a log that is not trusted", {"index": 0, "log": later}, REFUSED
    yield (
        "revoked in a log that is not trusted",
        {"index": 0, "log": here, "revoked": 0, "revokedLog": later},
        REFUSED,
    )


def _private() -> Iterator[Question]:
    """A private execution shows commitments; the reader opens them with salts."""
    both = {"input": claims.private_set(honest.INPUT), "output": claims.private_set(honest.OUTPUT)}
    payload = render(
        replace(_predicate(), **both).statement(
            [Subject(name="output.tensors", sha256=both["output"].sha256)]
        )
    )
    data = logged_as(payload)
    salts = {"inputSalt": SALT, "outputSalt": SALT}
    yield RECEIPT.honest(data, "private, opened", **salts)
    yield RECEIPT.honest(data, "private, not opened", input=None, output=None)
    for name, changed, family in (
        ("no salt for the output", {"inputSalt": SALT}, USAGE),
        ("no salt for the input", {"outputSalt": SALT}, USAGE),
        ("another salt for the output", {**salts, "outputSalt": bytes(32)}, REFUSED),
        ("another salt for the input", {**salts, "inputSalt": bytes(32)}, REFUSED),
        ("a short salt", {**salts, "outputSalt": SALT[:-1]}, USAGE),
        ("an empty salt", {**salts, "outputSalt": b""}, USAGE),
        ("another output", {**salts, "output": honest.OTHER_TENSORS}, REFUSED),
        ("another input", {**salts, "input": honest.OTHER_TENSORS}, REFUSED),
        ("a salt without its tensors", {**salts, "output": None}, USAGE),
    ):
        yield RECEIPT.ask(f"private, {name}", data, family, **changed)
    exchanged = {**both, "output": TensorSet(form="digest", sha256=both["output"].sha256)}
    shown = replace(_predicate(), **exchanged)
    about = [Subject(name="output.tensors", sha256=both["output"].sha256)]
    yield RECEIPT.ask(
        "a commitment that is said to be a digest",
        logged_as(render(shown.statement(about))),
        REFUSED,
        **salts,
    )


def _predicate() -> Any:
    return honest.predicates()["execution"]


def _aliases() -> Iterator[Question]:
    folder = canonical_json(honest.FOLDER.to_list())
    asker = Asker(artefact="alias", kind="alias", fields={**PINS, "manifest": folder})
    data = logged_as(honest.statement("alias"), "publisher")
    alice = {"role": "publisher", "owner": "alice"}
    yield asker.honest(data)
    yield asker.honest(data, "by its owner", trusted=alice)
    yield asker.ask("by bob", data, REFUSED, trusted={**alice, "owner": "bob"})
    yield asker.ask("by an executor", data, REFUSED, trusted={**alice, "role": "executor"})
    yield asker.ask("of another folder", data, REFUSED, manifest=other_folder())
    yield asker.honest(data, "without a folder", manifest=None)
    for name, payload, family in forged(form_of("alias", REFUSED), decoded("alias"), None):
        yield asker.ask(f"signed {name}", logged_as(payload, "publisher"), family)
    value = decoded("alias")
    for name, subjects in {
        "has two subjects": [*value["subject"], *value["subject"]],
        "has a subject without SHA-256": [{"digest": {"sha512": "ab" * 64}}],
    }.items():
        payload = canonical_json({**value, "subject": subjects})
        yield asker.ask(name, logged_as(payload, "publisher"), REFUSED)
    ahead = replace(honest.OBSERVED, tree_size=honest.CLAIM + 1)
    late = logged_as(honest.statement("alias", observed=ahead), "publisher")
    yield asker.ask("saw a tree that holds it", late, REFUSED)
    yield asker.ask("is an execution", honest.receipt(), REFUSED)


# ------------------------------------------------------------------ releases, and memory


def _revocations() -> Iterator[Question]:
    """A revocation is the last word of its key; no other claim may stand at its place."""
    for action, family in (("revoke", OK), ("register", REFUSED), ("supersede", REFUSED)):
        payload = honest.statement("key", action=action)
        asker = Asker(
            artefact="revocation",
            kind="bundle",
            fields=PINS,
            options={"predicateType": "urn:assay:key:v1", "withoutFile": True},
        )
        data = render_bundle(honest.bundle_of(payload))
        said = {"role": "publisher", "index": 0, "revoked": honest.CLAIM}
        yield asker.ask(f"{action} at the index of the revocation", data, family, trusted=said)
        late = {**said, "revoked": honest.REGISTRATION}
        yield asker.ask(f"{action} after the revocation", data, REFUSED, trusted=late)


def _releases() -> Iterator[Question]:
    data = logged_as(honest.statement("release"), "publisher")
    asker = Asker(artefact="release", kind="bundle", fields=PINS)
    yield asker.honest(data, "by the file's digest", fileSha256=honest.CARD)
    yield asker.honest(data, "without a file", withoutFile=True)
    yield asker.ask("of no file", data, USAGE)
    yield asker.ask("of another file", data, REFUSED, fileSha256="ee" * 32)
    yield asker.ask("of an empty file", data, REFUSED, file=b"")
    yield asker.ask("by a digest in capitals", data, USAGE, fileSha256=honest.CARD.upper())
    yield asker.ask("by an empty digest", data, USAGE, fileSha256="")
    yield asker.ask("of two things", data, USAGE, fileSha256=honest.CARD, withoutFile=True)
    yield asker.ask("asked as nothing", data, USAGE, withoutFile=True, predicateType="")
    wanted = "urn:assay:card:v1"
    yield asker.ask("asked as a card", data, REFUSED, withoutFile=True, predicateType=wanted)
    value = {**decoded("release"), "subject": [{"name": "x", "digest": {"sha512": "ab" * 64}}]}
    digestless = logged_as(canonical_json(value), "publisher")
    yield asker.ask("that names no SHA-256", digestless, REFUSED, fileSha256=honest.CARD)


def _remembered() -> Iterator[Question]:
    """The checkpoint that the reader has seen before is of another history."""
    bundle = honest.bundle_of(honest.statement("execution"), role="executor")
    data = render_bundle(bundle)
    leaves = honest.leaves(honest.leaf_of(bundle), honest.registered_leaf("executor"))
    later = [*leaves, leaf_hash(b"later")]
    fork = [*leaves[:-1], leaf_hash(b"rewritten")]

    def note(tree: list[bytes]) -> bytes:
        return claims.checkpoint(len(tree), root_of(tree))

    def ask(name: str, family: str, remembered: bytes, *proof: bytes | None) -> Question:
        given = [encode_base64(item) for item in proof if item is not None]
        options = {"consistency": given} if proof else {}
        return RECEIPT.ask(name, data, family, remembered=remembered, **options)

    yield ask("the tree is the one remembered", OK, note(leaves))
    yield ask("the tree is a fork of the one remembered", SPLIT_VIEW, note(fork))
    yield ask("nothing was remembered but the empty tree", OK, note([]))
    yield ask("the proof from the older tree is right", OK, note(leaves[:2]), _half(leaves))
    yield ask("no proof from the older tree", COULD_NOT_CHECK, note(leaves[:2]))
    yield ask("the proof from the older tree is empty", REFUSED, note(leaves[:2]), None)
    yield ask("the proof is of other trees", REFUSED, note(leaves[:2]), b"\x01" * 32)
    yield ask("the proof is too long", REFUSED, note(leaves[:2]), _half(leaves), _half(leaves))
    yield ask("the proof has a hash of 31 bytes", MALFORMED, note(leaves[:2]), bytes(31))
    yield ask("the older tree is a fork", REFUSED, note(fork[2:]), _half(leaves))
    yield ask("no proof to the later tree", COULD_NOT_CHECK, note(later))
    yield ask("the proof to the later tree is right", OK, note(later), leaf_hash(b"later"))
    rewritten = [*fork, leaf_hash(b"later")]
    yield ask("the later tree is a fork", REFUSED, note(rewritten), leaf_hash(b"later"))
    yield ask("what is remembered is not signed", REFUSED, _unsigned(note(leaves)))
    yield ask("what is remembered is no checkpoint", MALFORMED, b"hello\n")


def _half(leaves: list[bytes]) -> bytes:
    """Return the one hash of the proof from two leaves to four."""
    return root_of(leaves[2:])


def _unsigned(note: bytes) -> bytes:
    text, _, tail = note.decode().partition("\n\n")
    first = tail.splitlines()[0].split(" ")[2]
    flipped = bytearray(base64.b64decode(first))
    flipped[-1] ^= 1
    return f"{text}\n\n{tail.replace(first, encode_base64(bytes(flipped)))}".encode()
