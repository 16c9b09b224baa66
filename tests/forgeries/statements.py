"""Forged statements: each field of each predicate. Whoever signs one holds the key and lies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.forgeries import honest
from tests.forgeries.forms import Form, Listed, Maybe, Nullable, Obj, broken, forged
from tests.forgeries.lies import (
    ANOTHER,
    MALFORMED,
    OK,
    REFUSED,
    any_text,
    bound,
    constant,
    digest,
    integer,
    json_object,
    model,
    nullable,
    one_of,
    path,
    revision,
    spelled,
    text,
    time,
    uuid7,
)
from tests.forgeries.question import Asker, Question

STATEMENT_V01 = "https://in-toto.io/Statement/v0.1"
_OBSERVED = Obj(origin=text, treeSize=integer(0, 2**53 - 1), rootHash=digest)
_TENSORS = Obj(digest=Obj(sha256=digest))
_ROLES = ("publisher", "executor", "auditor", "registry")
RUNTIME = Obj(
    kind=bound(one_of("portable", "native"), MALFORMED),  # the other kind has other fields
    name=text,
    version=text,
    files=Listed(Obj(name=path, sha256=bound(digest, MALFORMED)), short=MALFORMED, long=MALFORMED),
    digest=Obj(sha256=bound(digest, MALFORMED)),  # it is computed from the files
    options=Obj(
        graphOptimizationLevel=one_of("disabled", "basic", "extended", "layout", "all"),
        threads=integer(1, 1024),
    ),
    isa=Listed(text),
)
_MODEL: dict[str, Form] = {
    "observed": _OBSERVED,
    "model": model,
    "revision": revision,
    "manifest": digest,
}
PREDICATES: dict[str, Obj] = {
    "release": Obj(**_MODEL, version=text, card=digest, license=text, previous=nullable(revision)),
    "card": Obj(**_MODEL, metadata=json_object),
    "alias": Obj(
        observed=_OBSERVED,
        model=model,
        alias=text,
        revision=revision,
        previous=nullable(revision),
    ),
    "execution": Obj(
        **_MODEL,
        execution=uuid7,
        graph=Obj(path=path, sha256=digest),
        input=_TENSORS,
        output=_TENSORS,
        runtime=RUNTIME,
        startedOn=time,
        finishedOn=time,
        trace=nullable(digest),
    ),
    "replay": Obj(
        observed=_OBSERVED,
        execution=uuid7,
        statement=digest,
        verdict=one_of("exact", "close", "diverged", "unrunnable"),
        runtime=RUNTIME,
        output=Nullable(_TENSORS),
        firstDivergence=nullable(text),
    ),
    "key": Obj(
        observed=_OBSERVED,
        action=one_of("register", "supersede", "revoke"),
        owner=text,
        role=one_of(*_ROLES),
        publicKey=text,
        previous=nullable(digest),
    ),
    "moderation": Obj(
        observed=_OBSERVED,
        action=one_of("hide", "restore", "takedown", "suspend", "reinstate"),
        category=text,
        reason=text,
    ),
}


def form_of(kind: str, type_: str = MALFORMED) -> Obj:
    """Return the form of a kind's statement; `type_` is what becomes of another predicate type."""
    subjects = len(honest.SUBJECTS[kind])
    subject = Listed(
        Obj(name=Maybe(any_text), digest=Obj(sha256=digest)),
        short=ANOTHER if subjects > 1 else MALFORMED,  # a statement has a subject
    )
    fields: dict[str, Form | Maybe] = {
        "_type": constant(STATEMENT_V01, REFUSED),
        "subject": subject,
        "predicateType": bound(any_text, type_),
        "predicate": PREDICATES[kind],
    }
    return Obj(**fields)


def decoded(kind: str) -> Any:
    return json.loads(honest.statement(kind))


def with_predicate(kind: str, **changed: Any) -> bytes:
    """Return a statement with these fields of its predicate, whatever they are."""
    value = decoded(kind)
    value["predicate"].update(changed)
    return spelled(value).encode()


def questions() -> Iterator[Question]:
    """Forged statements of all kinds, read and not verified."""
    for kind in PREDICATES:
        asker = Asker(artefact=f"statement of a {kind}", kind="predicate")
        yield asker.honest(honest.statement(kind))
        yield from asker.about(forged(form_of(kind), decoded(kind), OK))
    yield from _odd()
    yield from _subjects()
    whole = Asker(artefact="statement", kind="statement")
    yield from whole.about(broken(honest.statement("release")))
    yield whole.ask("whole is too long", honest.statement("release") + b" " * 2**20, MALFORMED)


def _odd() -> Iterator[Question]:
    """Values that several fields make wrong, and odd ones that are right."""
    asker = Asker(artefact="statement", kind="predicate")
    both = {"digest": {"sha256": honest.DIGEST}, "commitment": {"sha256": honest.DIGEST}}
    runtime = honest.RUNTIME.to_dict()
    files = runtime["files"]
    for name, data, family in (
        ("input is a digest and a commitment", {"input": both}, MALFORMED),
        ("input is neither", {"input": {}}, MALFORMED),
        ("output is a commitment", {"output": {"commitment": {"sha256": honest.DIGEST}}}, OK),
        ("portable runtime has isa", {"runtime": {**runtime, "isa": []}}, MALFORMED),
        ("runtime has no file", {"runtime": {**runtime, "files": []}}, MALFORMED),
        ("runtime's files turned round", {"runtime": {**runtime, "files": files[::-1]}}, MALFORMED),
    ):
        yield asker.ask(name, with_predicate("execution", **data), family)
    for name, changed, family in (
        ("version is as long as it may be", {"version": "x" * 16_384}, OK),
        ("version is as long as it may be, in pairs", {"version": "\U0001f600" * 16_384}, OK),
        ("version holds a NUL", {"version": "\0"}, OK),
        ("observed is the largest tree", {"observed": _observed(2**53 - 1)}, OK),
        ("observed is the empty tree", {"observed": _observed(0)}, OK),
    ):
        yield asker.ask(name, with_predicate("release", **changed), family)
    for name, metadata, family in (
        ("is empty", "{}", OK),
        ("has a key __proto__", '{"__proto__":{"polluted":true}}', OK),
        ("has numbers of all sizes", '{"a":[0,-1,1e21,5e-324,1.5,-0.0,1E+2]}', OK),
        ("has every escape", '{"\\u0022\\\\\\/\\b\\f\\n\\r\\t":"\\ud83d\\ude00"}', OK),
        ("is as deep as it may be", f"{_nested(61)}", OK),
        ("is one too deep", f"{_nested(62)}", MALFORMED),
        ("holds brackets in a text", '{"a":"' + "[" * 100 + '"}', OK),
    ):
        honest_card = honest.statement("card").decode()
        start = honest_card.index('"metadata":') + len('"metadata":')
        end = honest_card.index(',"model"', start)
        made = f"{honest_card[:start]}{metadata}{honest_card[end:]}".encode()
        yield asker.ask(f"metadata {name}", made, family)


def _observed(size: int) -> dict[str, Any]:
    return {"origin": honest.ORIGIN, "treeSize": size, "rootHash": honest.DIGEST}


def _nested(depth: int) -> str:
    """Return an object with `depth` levels of lists in it; two objects are around it."""
    return '{"a":' + "[" * (depth) + "]" * depth + "}"


def _subjects() -> Iterator[Question]:
    """Resource descriptors as in-toto has them: further fields are allowed, and must be theirs."""
    asker = Asker(artefact="statement", kind="statement")
    for name, subject, family in (
        ("has every field of a descriptor", _descriptor(), OK),
        ("has another digest only", {"digest": {"sha512": "ab" * 64}}, OK),
        ("has an empty digest of another kind", _digests(sha512=""), MALFORMED),
        ("has a number for a digest of another kind", _digests(sha512=1), MALFORMED),
        ("has a number for a URI", {**_digests(), "uri": 1}, MALFORMED),
        ("has a number for a media type", {**_digests(), "mediaType": 1}, MALFORMED),
        ("has a number for a location", {**_digests(), "downloadLocation": 1}, MALFORMED),
        ("has content that is not base64", {**_digests(), "content": "A"}, MALFORMED),
        ("has a list of annotations", {**_digests(), "annotations": []}, MALFORMED),
    ):
        value = {**decoded("alias"), "subject": [subject]}
        yield asker.ask(f"subject[0] {name}", spelled(value).encode(), family)


def _digests(**others: Any) -> dict[str, Any]:
    return {"digest": {"sha256": honest.DIGEST, **others}}


def _descriptor() -> dict[str, Any]:
    texts = {"name": "a", "uri": "urn:a", "downloadLocation": "urn:b", "mediaType": "text/plain"}
    return {**_digests(), **texts, "content": "AA==", "annotations": {"a": 1}}
