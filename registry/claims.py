"""What the three statements of a release must say, computed from the rows and from nothing else.

A publisher signs three payloads: the model signature (OMS), the card, the release. Each check here
takes one of them, already verified as that key's, and compares it field by field with what the
server holds. The first difference is told with both values, so that whoever signed can see whether
their machine or the server is wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from assay.canonical import canonical_json
from assay.errors import AssayError
from assay.manifest import OMS, Manifest, parse_oms
from assay.statements import (
    CARD,
    RELEASE,
    Observed,
    Predicate,
    Statement,
    parse_predicate,
)
from registry.choices import ClaimKind
from registry.errors import BadSignatureError, InvalidInputError
from registry.models import Release, Revision
from registry.paths import CARD as CARD_PATH

TYPES = {ClaimKind.MODEL_SIGNATURE: OMS, ClaimKind.CARD: CARD, ClaimKind.RELEASE: RELEASE}
_LAST_NUMBER = re.compile(r"(\d+)(?=\D*\Z)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a release of one revision must sign: `files` are (path, hex SHA-256), sorted."""

    model: str
    revision: str
    manifest: Manifest
    files: tuple[tuple[str, str], ...]
    card: str
    metadata: dict[str, Any]
    license: str
    previous: str | None

    def release_predicate(self, version: str) -> dict[str, Any]:
        """Return the release predicate, without `observed`."""
        return {
            "model": self.model,
            "revision": self.revision,
            "version": version,
            "manifest": self.manifest.digest,
            "card": self.card,
            "license": self.license,
            "previous": self.previous,
        }

    def card_predicate(self) -> dict[str, Any]:
        """Return the card predicate, without `observed`."""
        return {
            "model": self.model,
            "revision": self.revision,
            "manifest": self.manifest.digest,
            "metadata": self.metadata,
        }


def expected(revision: Revision) -> Expected:
    """Return what a release of `revision` must sign now.

    Raises:
        InvalidInputError: the revision has no README.md, and a release needs a card.
    """
    pairs = tuple(sorted(revision.files.values_list("path", "blob_id")))
    card = dict(pairs).get(CARD_PATH)
    if card is None:
        raise InvalidInputError(f"A release needs a model card: add {CARD_PATH}.", field="card")
    license_id = revision.card_metadata.get("license")
    return Expected(
        model=revision.model.full_name,
        revision=revision.pk,
        manifest=Manifest.from_pairs(pairs),
        files=pairs,
        card=card,
        metadata=revision.card_metadata,
        license=license_id if isinstance(license_id, str) and license_id else "unknown",
        previous=Release.objects.filter(model_id=revision.model_id)
        .order_by("-number")
        .values_list("revision_id", flat=True)
        .first(),
    )


def next_version(last: str | None) -> str:
    """Propose a version after `last`: its last number plus one; `1.0.0` for a first release."""
    if last is None:
        return "1.0.0"
    match = _LAST_NUMBER.search(last)
    if match is None:
        return f"{last}-2"
    return f"{last[: match.start()]}{int(match[1]) + 1}{last[match.end() :]}"


def check(kind: ClaimKind, statement: Statement, want: Expected, version: str) -> Observed | None:
    """Check that `statement` says what the claim `kind` of this release must say.

    Returns the checkpoint that the signer had seen, which the caller still has to check; None for a
    model signature, whose predicate has no place for one.

    Raises:
        BadSignatureError: the detail has claim, field, expected and found.
    """
    same(kind, "predicateType", TYPES[kind], statement.predicate_type)
    if kind == ClaimKind.MODEL_SIGNATURE:
        _check_oms(statement, want)
        return None
    predicate = typed(kind, statement)
    fields, subjects = want.release_predicate(version), want.files
    if kind == ClaimKind.CARD:
        fields, subjects = want.card_predicate(), ((CARD_PATH, want.card),)
    found = predicate.to_dict()
    for name, value in fields.items():
        same(kind, f"predicate.{name}", value, found[name])
    _check_subjects(kind, statement, subjects)
    return predicate.observed


def typed(claim: str, statement: Statement) -> Predicate:
    """Return the typed predicate; BadSignatureError with the field when it is not its form."""
    try:
        return parse_predicate(statement)
    except AssayError as error:
        raise BadSignatureError(
            f"The {claim} statement is not well-formed: {error}.",
            claim=str(claim),
            field=getattr(error, "path", ""),
        ) from error


def same(claim: str, field: str, want: Any, found: Any) -> None:
    """Raise BadSignatureError with both values unless they are the same JSON."""
    if canonical_json(want) != canonical_json(found):
        raise BadSignatureError(
            f"The {claim} statement has another '{field}' than the registry computed.",
            claim=str(claim),
            field=field,
            expected=want,
            found=found,
        )


def _check_oms(statement: Statement, want: Expected) -> None:
    try:
        found = parse_oms(statement)
    except AssayError as error:
        raise BadSignatureError(
            f"The model signature is refused: {error}.",
            claim=str(ClaimKind.MODEL_SIGNATURE),
            field=getattr(error, "path", "subject"),
        ) from error
    # The subject's name is the signer's folder and means nothing: the resources say everything.
    kind = ClaimKind.MODEL_SIGNATURE
    for ours, theirs in zip(want.manifest.resources, found.resources, strict=False):
        same(kind, "predicate.resources", [ours.name, ours.sha256], [theirs.name, theirs.sha256])
    same(kind, "predicate.resources", len(want.manifest.resources), len(found.resources))


def _check_subjects(
    kind: ClaimKind, statement: Statement, want: tuple[tuple[str, str], ...]
) -> None:
    found = sorted((subject.name, subject.sha256) for subject in statement.subjects)
    for ours, theirs in zip(want, found, strict=False):
        same(kind, "subject", list(ours), list(theirs))
    same(kind, "subject", len(want), len(found))
