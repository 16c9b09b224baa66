"""Forged registrations of a key, and proofs that are too old: steps 12 and 14."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from assay.bundle import Bundle, render_bundle
from assay.canonical import canonical_json
from assay.dsse import sign
from assay.merkle import leaf_hash, root_of
from tests.assay import claims
from tests.forgeries import honest
from tests.forgeries.forms import broken, forged
from tests.forgeries.lies import COULD_NOT_CHECK, MALFORMED, OK, REFUSED, SPLIT_VIEW, USAGE
from tests.forgeries.logged import PINS, bundle_lies
from tests.forgeries.question import Asker, Question
from tests.forgeries.statements import form_of

HOUR = 3600


def questions() -> Iterator[Question]:
    """Registrations, and ages."""
    yield from _registrations()
    yield from _ages()
    yield from _known()


def _claim() -> Bundle:
    return honest.bundle_of(honest.statement("execution"), role="executor")


def _registrations() -> Iterator[Question]:
    claim = _claim()
    executor = {"role": "executor", "owner": honest.ORIGIN}
    asker = Asker(
        artefact="registration",
        kind="registration",
        fields={**PINS, "claim": render_bundle(claim)},
        options={"trusted": executor},
    )
    data = honest.registration_bundle("executor", claim)
    yield asker.honest(data)
    yield asker.honest(data, "of a key that the reader vouches for", trusted={})
    yield asker.honest(data, "at the index of the list", trusted={**executor, "index": 1})
    here = {**executor, "index": honest.REGISTRATION, "log": honest.ORIGIN}
    yield asker.honest(data, "in the log of the list", trusted=here)
    yield from asker.about(bundle_lies(honest.registration_parts("executor", claim)))
    for name, said in {
        "the list has another role": {"role": "auditor"},
        "the list has another owner": {**executor, "owner": "bob"},
        "the list has another index": {**executor, "index": 0},
        "the list has another log": {**executor, "index": 1, "log": "log2.example.org"},
        "the list has it revoked": {**executor, "revoked": honest.CLAIM},
    }.items():
        yield asker.ask(name, data, REFUSED, trusted=said)
    yield from _signed(asker, claim)
    foreign = honest.bundle_of(honest.statement("execution"), role="executor", key=honest.mallory())
    yield asker.ask(
        "of another key than signed the claim",
        data,
        REFUSED,
        claim=render_bundle(foreign),
        key=honest.public(honest.mallory()).spki,
    )


def _signed(asker: Asker, claim: Bundle) -> Iterator[Question]:
    """The key registers itself, truly logged, with something wrong."""

    def logged(payload: bytes, **said: Any) -> bytes:
        return render_bundle(honest.registration_of(payload, claim, **said))

    payload = honest.registration("executor")
    value = json.loads(payload)
    for name, made, family in forged(form_of("key", REFUSED), value, None):
        yield asker.ask(f"signed {name}", logged(made), family)
    for name, made, family in broken(payload):
        yield asker.ask(f"signed {name}", logged(made), family)
    predicate = value["predicate"]
    mallory = honest.public(honest.mallory())

    def saying(**changed: Any) -> bytes:
        return canonical_json({**value, "predicate": {**predicate, **changed}})

    for name, made in {
        "it revokes": saying(action="revoke"),
        "it takes another's place": saying(action="supersede"),
        "it is of another role": saying(role="publisher"),
        "it is of another owner": saying(owner="mallory"),
        "it names another key": saying(publicKey=mallory.pem),
        "its subject is another key": canonical_json(
            {**value, "subject": [{"digest": {"sha256": mallory.fingerprint}}]}
        ),
        "it has two subjects": canonical_json({**value, "subject": value["subject"] * 2}),
        "it is a release": honest.statement("release"),
    }.items():
        yield asker.ask(name, logged(made), REFUSED)
    yield asker.ask("it names no key", logged(saying(publicKey="hello")), MALFORMED)
    spaced = predicate["publicKey"].replace("\n", "\r\n")
    yield asker.ask("it spells its key", logged(saying(publicKey=spaced)), MALFORMED)
    by_mallory = honest.registration_of(payload, claim, key=honest.mallory())
    yield asker.ask("mallory signed it", render_bundle(by_mallory), REFUSED)
    apart = honest.registration_bundle("executor", honest.bundle_of(b"{}", role="executor"))
    yield asker.ask("it is in another tree of the same size", apart, SPLIT_VIEW)


# ------------------------------------------------------------------ how fresh


def _ages() -> Iterator[Question]:
    """The tree was first cosigned at claims.TIME + 1."""
    asker = Asker(artefact="age", kind="receipt", fields=PINS)
    data = render_bundle(_claim())
    seen = claims.TIME + 1
    for name, family, options in (
        ("just young enough", OK, {"now": seen + HOUR, "maxAge": HOUR}),
        ("a second too old", REFUSED, {"now": seen + HOUR + 1, "maxAge": HOUR}),
        ("of now", OK, {"now": seen, "maxAge": 0}),
        ("years too old", REFUSED, {"now": seen + 10**9, "maxAge": HOUR}),
        ("of a clock that is a little behind", OK, {"now": seen - 300, "maxAge": HOUR}),
        ("of a clock that is far behind", COULD_NOT_CHECK, {"now": seen - 301, "maxAge": HOUR}),
        ("without a limit", OK, {"now": seen + 10**9}),
        ("limited, and nobody says when it is", USAGE, {"maxAge": HOUR}),
        ("limited to less than nothing", USAGE, {"now": seen, "maxAge": -1}),
    ):
        yield asker.ask(name, data, family, **options)
    now = {"now": seen, "maxAge": HOUR}
    yield asker.ask("that no witness was asked for", data, COULD_NOT_CHECK, policy=None, **now)


def _known() -> Iterator[Question]:
    """How far the reader has read the log; nothing is refused for not knowing."""
    claim = _claim()
    keys = honest.keys_document()
    asker = Asker(artefact="revocations", kind="receipt", fields={**PINS, "keys": keys})
    data = render_bundle(claim)
    tree = honest.leaves(honest.leaf_of(claim), honest.registered_leaf("executor"))
    later, fork = [*tree, leaf_hash(b"later")], [*tree[:-1], leaf_hash(b"rewritten")]
    for name, leaves, family in (
        ("known beyond the claim", later, OK),
        ("known to the claim's tree", tree, OK),
        ("not known so far", tree[:2], OK),
        ("known in a fork", fork, SPLIT_VIEW),
    ):
        note = claims.checkpoint(len(leaves), root_of(leaves))
        yield asker.ask(name, data, family, key=None, knownTo=note)
    yield asker.ask("known by no checkpoint", data, MALFORMED, key=None, knownTo=b"x\n")
    unsigned = sign(b"x", honest.SIGNER).to_json()
    yield asker.ask("known by something else", data, MALFORMED, key=None, knownTo=unsigned)
