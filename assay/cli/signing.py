"""What a publisher signs for a release: checked against the own folder, then written here.

The server proposes (`GET …/signing`). What this machine knows is compared first: the manifest
digest is computed from the folder, and every file and the card must be the folder's. What it cannot
know is the server's word and becomes the signer's: the card's metadata as the server read them, the
licence in them, the release before, and the checkpoint that was seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from assay.bundle import MEDIA_TYPE, oms_hint_for
from assay.canonical import as_list, as_object, as_text, canonical_json
from assay.dsse import Envelope, public_key_of, sign
from assay.errors import FormatError, VerificationError
from assay.manifest import Manifest, is_ignored
from assay.statements import (
    CardPredicate,
    Observed,
    ReleasePredicate,
    Subject,
    parse_statement,
    render,
)

CARD = "README.md"
_FIELDS = (
    *("observed", "model", "revision", "manifest", "files", "card", "license", "previous"),
    "next_version",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What the server proposes to sign; `files` are (path, hex SHA-256), sorted."""

    observed: Observed
    model: str
    revision: str
    files: tuple[tuple[str, str], ...]
    card: str
    metadata: dict[str, Any]
    license: str
    previous: str | None
    next_version: str
    manifest: str


def parse_proposal(value: object) -> Proposal:
    """Read the JSON of `GET …/signing`.

    Raises:
        FormatError: not its form.
    """
    extra = tuple(value) if isinstance(value, dict) else ()
    fields = as_object(value, "signing", required=_FIELDS, optional=extra)
    card = as_object(fields["card"], "card", required=("sha256", "metadata"))
    if not isinstance(card["metadata"], dict):
        raise FormatError("is not an object", "card.metadata")
    files = []
    for index, item in enumerate(as_list(fields["files"], "files")):
        found = as_object(item, f"files[{index}]", required=("path", "sha256"))
        files.append((as_text(found["path"], "path"), as_text(found["sha256"], "sha256")))
    previous = fields["previous"]
    return Proposal(
        observed=Observed.from_dict(fields["observed"], "observed"),
        model=as_text(fields["model"], "model"),
        revision=as_text(fields["revision"], "revision"),
        files=tuple(sorted(files)),
        card=as_text(card["sha256"], "card.sha256"),
        metadata=card["metadata"],
        license=as_text(fields["license"], "license"),
        previous=None if previous is None else as_text(previous, "previous"),
        next_version=as_text(fields["next_version"], "next_version"),
        manifest=as_text(fields["manifest"], "manifest"),
    )


def check_proposal(proposal: Proposal, folder: Manifest, *, model: str, revision: str) -> None:
    """Check that the server proposes to sign this folder, under the names that were asked for.

    An empty name was not asked for. Files that Model Signing ignores (`.gitattributes`) are the
    server's word.

    Raises:
        VerificationError: what differs.
        FormatError: files that no manifest can list.
    """
    for what, asked, told in (
        ("model", model.lower(), proposal.model.lower()),
        ("revision", revision, proposal.revision),
    ):
        if asked and asked != told:
            raise VerificationError(
                f"the server proposes another {what}", expected=asked, found=told
            )
    folder.check_folder(Manifest.from_pairs(proposal.files))
    if proposal.manifest != folder.digest:
        raise VerificationError(
            "the server proposes another manifest digest",
            expected=folder.digest,
            found=proposal.manifest,
        )
    card = {item.name: item.sha256 for item in folder.resources}.get(CARD, "")
    if proposal.card != card:
        raise VerificationError(
            f"the server's card is not the folder's {CARD}", expected=card, found=proposal.card
        )


def ignored_files(proposal: Proposal) -> list[str]:
    """Return the files of the proposal that no folder was compared with."""
    return [path for path, _ in proposal.files if is_ignored(path)]


def release_envelopes(
    proposal: Proposal, version: str, key: ec.EllipticCurvePrivateKey
) -> dict[str, Envelope]:
    """Write and sign the three statements of a release: `oms`, `card`, `release`.

    Raises:
        FormatError: a value that the verifier would refuse; nothing is signed then.
    """
    manifest = Manifest.from_pairs(proposal.files)
    card = CardPredicate(
        observed=proposal.observed,
        model=proposal.model,
        revision=proposal.revision,
        manifest=manifest.digest,
        metadata=proposal.metadata,
    )
    release = ReleasePredicate(
        observed=proposal.observed,
        model=proposal.model,
        revision=proposal.revision,
        version=version,
        manifest=manifest.digest,
        card=proposal.card,
        license=proposal.license,
        previous=proposal.previous,
    )
    subjects = [Subject(name=path, sha256=digest) for path, digest in proposal.files]
    payloads = {
        "oms": manifest.oms_statement(proposal.model.partition("/")[2]),
        "card": render(card.statement([Subject(name=CARD, sha256=proposal.card)])),
        "release": render(release.statement(subjects)),
    }
    for payload in payloads.values():
        parse_statement(payload)  # what the log would refuse is not signed
    return {kind: sign(payload, key) for kind, payload in payloads.items()}


def model_signature(folder: Manifest, name: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return `model.sig` of a folder: OpenSSF Model Signing, not logged anywhere."""
    envelope = sign(folder.oms_statement(name), key)
    public = public_key_of(key.public_key())
    return canonical_json(
        {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": {
                "publicKey": {"hint": oms_hint_for(public.spki)},
                "tlogEntries": [],
            },
            "dsseEnvelope": envelope.to_dict(),
        }
    )


def release_body(
    proposal: Proposal, version: str, notes: str, key: ec.EllipticCurvePrivateKey
) -> dict[str, Any]:
    """Return the JSON of `POST …/releases`, signed."""
    envelopes = release_envelopes(proposal, version, key)
    return {
        "revision": proposal.revision,
        "version": version,
        "notes": notes,
        "claims": {kind: envelope.to_dict() for kind, envelope in envelopes.items()},
        "key": public_key_of(key.public_key()).fingerprint,
    }
