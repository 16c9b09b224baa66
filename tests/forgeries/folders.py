"""Forged model signatures, and folders that are not the signed ones."""

from __future__ import annotations

import json
from collections.abc import Iterator

from assay.bundle import render_bundle
from assay.canonical import canonical_json
from tests.forgeries import honest
from tests.forgeries.forms import Listed, Maybe, Obj, forged
from tests.forgeries.lies import (
    MALFORMED,
    OK,
    REFUSED,
    USAGE,
    Lie,
    any_text,
    bound,
    constant,
    digest,
    path,
    spelled,
    wrong_types,
)
from tests.forgeries.logged import PINS
from tests.forgeries.question import Asker, Question


def _serialization() -> Obj:
    def symlinks(value: bool) -> Iterator[Lie]:
        yield from wrong_types("boolean")
        yield Lie("is true", "true", REFUSED)

    def hash_type(value: str) -> Iterator[Lie]:
        yield from constant("md5")(value)
        yield Lie("is BLAKE", spelled("blake3"), REFUSED)

    def method(value: str) -> Iterator[Lie]:
        yield from constant("trees")(value)
        yield Lie("is shards", spelled("shards"), REFUSED)

    return Obj(
        method=method,
        hash_type=hash_type,
        allow_symlinks=symlinks,
        ignore_paths=Maybe(Listed(bound(path, OK), short=OK, long=OK), absent=OK),
    )


def _oms_form() -> Obj:
    """A model signature; resource descriptors may carry fields of anybody."""
    return Obj(
        _type=constant("https://in-toto.io/Statement/v0.1", REFUSED),
        subject=Listed(
            Obj(name=Maybe(any_text), digest=Obj(sha256=bound(digest, REFUSED))),
            short=MALFORMED,
            long=MALFORMED,
        ),
        predicateType=bound(any_text, REFUSED),
        predicate=Obj(
            serialization=_serialization(),
            resources=Listed(
                Obj(name=path, algorithm=constant("sha512"), digest=bound(digest, REFUSED)),
                short=REFUSED,  # the subject is a digest over all of them
                long=MALFORMED,  # none is listed twice
            ),
        ),
    )


def _logged(payload: bytes) -> bytes:
    """Return the signature file: a bundle with the hint that model_signing looks at."""
    bundle = honest.bundle_of(payload, role="publisher")
    return render_bundle(honest.with_hint(bundle, honest.oms_hint()))


def questions() -> Iterator[Question]:
    folder = canonical_json(honest.FOLDER.to_list())
    asker = Asker(artefact="model signature", kind="oms", fields={**PINS, "manifest": folder})
    payload = honest.FOLDER.oms_statement("add")
    data = _logged(payload)
    yield asker.honest(data)
    yield asker.ask("of a folder with another file", data, REFUSED, manifest=other_folder())
    yield asker.ask("by an executor", data, REFUSED, trusted={"role": "executor"})
    for name, made, family in forged(_oms_form(), json.loads(payload), None):
        if not _may_be_foreign(name):
            yield asker.ask(f"signed {name}", _logged(made), family)
    for name, resources in _folders_at_hand().items():
        held = canonical_json(resources)
        yield asker.ask(f"of a folder with {name}", data, REFUSED, manifest=held)
    yield asker.ask("of no folder", data, USAGE, manifest=None)
    yield asker.honest(data, "of no folder, said aloud", manifest=None, withoutFile=True)
    yield asker.ask("is a release", _logged(honest.statement("release")), REFUSED)


def _may_be_foreign(name: str) -> bool:
    """A resource's unknown fields are allowed (in-toto); that is no lie."""
    return name.startswith("predicate.resources[0] has a field")


def _folders_at_hand() -> dict[str, list[dict[str, str]]]:
    first, second = honest.FOLDER.to_list()
    return {
        "a file less": [first],
        "a file more": [first, second, {**second, "name": "x"}],
        "a file renamed": [{**first, "name": "LICENSE"}, second],
        "contents exchanged": [
            {**first, "digest": second["digest"]},
            {**second, "digest": first["digest"]},
        ],
    }


def other_folder() -> bytes:
    """Return the manifest of the same names with other contents."""
    changed = [{**item, "digest": "cc" * 32} for item in honest.FOLDER.to_list()]
    return canonical_json(changed)
