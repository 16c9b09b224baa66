"""What a model's name means: the release that its owner signed, and the files in it.

The registry proposes; what counts is in the bundles, which are fetched from its ledger, where
everybody may read them, and verified under the reader's pins:

1. the release statement: signed by a publisher's key of the model's owner; its model is the one
   that was asked for, its version or revision too, and its subjects give its manifest;
2. for an alias, the move: signed by such a key, from the alias that was asked for to this revision;
3. the model signature of the same key, over exactly these files.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from assay.bundle import parse_bundle
from assay.canonical import as_list, as_object, as_text, canonical_json
from assay.cli.api import Api, part_of
from assay.cli.checking import choose_key
from assay.cli.naming import Name, release_of
from assay.cli.output import Output
from assay.cli.releasing import model_path
from assay.cli.trust import Named, Trust, load_trust, origin_of
from assay.digests import parse_hex
from assay.errors import FormatError, MissingError, UnavailableError, VerificationError
from assay.manifest import OMS, Manifest
from assay.statements import RELEASE, AliasPredicate, ReleasePredicate
from assay.statements.fields import size
from assay.verify import Policy, TrustedKey, Verified, verify_alias, verify_bundle

NEWEST = "latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What was named: `model`, `revision` and the files in it.

    Signed content has a `version`, the `claim` that its owner made, and the bundle `signature` of
    its model signature; for the others these are "", None and b"".
    """

    model: str
    revision: str
    manifest: Manifest
    version: str = ""
    claim: Verified | None = None
    signature: bytes = b""


def find_signed(api: Api, name: Name, named: Named, output: Output) -> Content:
    """Return the release that `name` means, verified.

    Raises:
        NotPinnedError: nothing is pinned that could vouch for it.
        VerificationError: there is no release, or one of the rules above is broken.
        FormatError, UnavailableError: as `Api.call`; an entry that is not in a checkpoint yet.
    """
    told = _told(api, name)
    data = _bundle_of(api, told, "release")
    trust = _trust(data, named)
    release = _verified(data, RELEASE, trust, named, output)
    said = ReleasePredicate.from_dict(release.statement.predicate, "predicate")
    check_owner(release.signer, said.model)
    manifest = Manifest.from_pairs(
        (subject.name, subject.sha256) for subject in release.statement.subjects
    )
    if manifest.digest != said.manifest:
        raise VerificationError(
            "the signed files are another manifest", expected=said.manifest, found=manifest.digest
        )
    name.check(model=said.model, manifest=said.manifest)
    _check_version(api, name, said, named, output)
    signature = _bundle_of(api, told, "oms")
    verify_bundle(
        signature,
        key=release.signer,
        trusted_root=trust.trusted_root,
        predicate_type=OMS,
        policy=trust.policy,
        manifest=manifest,
    )
    output.line(f"Signed: {len(manifest.resources)} files, manifest {manifest.digest}")
    return Content(
        model=said.model,
        revision=said.revision,
        manifest=manifest,
        version=said.version,
        claim=release,
        signature=signature,
    )


def find_unsigned(api: Api, name: Name) -> Content:
    """Return what `name` means by the registry's word alone; of a digest, what has that digest.

    Raises: as `find_signed`.
    """
    if name.digest:
        told = release_of(api, name.digest)
        model, wanted = as_text(told.get("model"), "model"), told.get("revision")
    else:
        model, wanted = name.model, _revision_named(api, name)
    path = f"{model_path(model)}/revisions/{part_of(as_text(wanted, 'revision'))}"
    revision = api.get(path)
    files = _files(revision)
    content = Content(
        model=model,
        revision=as_text(revision["id"], "id"),
        manifest=Manifest.from_pairs((path, sha256) for path, sha256, _ in files),
    )
    name.check(model=content.model, manifest=content.manifest.digest)
    return content


def _revision_named(api: Api, name: Name) -> Any:
    """Return the revision that a version means, or the newest of all."""
    if name.version:
        return _told(api, name).get("revision")
    found = api.get(model_path(name.model))
    revision = found.get("head") if isinstance(found, dict) else None
    if revision is None:
        raise MissingError(f"{name.model} has no revision")
    return revision


def sizes_of(api: Api, content: Content) -> dict[str, int]:
    """Return how many bytes the files have, by hex SHA-256: the registry's word.

    Raises:
        FormatError, RefusedError, UnavailableError: as `Api.call`; a file without a size.
    """
    path = f"{model_path(content.model)}/revisions/{part_of(content.revision)}"
    sizes = {sha256: count for _, sha256, count in _files(api.get(path))}
    for item in content.manifest.resources:
        if item.sha256 not in sizes:
            raise FormatError(f"{item.name!r} is not among the files of the revision", "files")
    return sizes


def _files(revision: Any) -> list[tuple[str, str, int]]:
    """Return (path, hex SHA-256, size) of the files of a revision, as the REST API tells of it."""
    found = []
    told = revision.get("files") if isinstance(revision, dict) else None
    for index, item in enumerate(as_list(told, "files")):
        where = f"files[{index}]"
        fields = as_object(item, where, required=("path", "sha256", "size"))
        sha256 = parse_hex(fields["sha256"], f"{where}.sha256").hex()
        path = as_text(fields["path"], f"{where}.path")
        found.append((path, sha256, size(fields["size"], f"{where}.size")))
    return found


# ------------------------------------------------------------------ rules 1 and 2


def _told(api: Api, name: Name) -> dict[str, Any]:
    """Return the release that `name` means, as the registry tells of it."""
    if name.digest:
        return release_of(api, name.digest)
    path = model_path(name.model)
    found = api.find(f"{path}/releases/{part_of(name.version or NEWEST)}")
    if found is None:
        api.get(path)  # says it where the model is not there at all
        if name.version:
            raise VerificationError(f"{name.model} has no release {name.version}")
        raise VerificationError(
            f"nobody signed a release of {name.model}; --unsigned takes its newest revision"
        )
    if not isinstance(found, dict):
        raise FormatError("is not an object", "release")
    return found


def _bundle_of(api: Api, told: dict[str, Any], kind: str) -> bytes:
    """Return the bundle of a claim of a release."""
    claims = told.get("claims")
    return _bundle_at(api, claims.get(kind) if isinstance(claims, dict) else None, kind)


def _bundle_at(api: Api, place: Any, what: str) -> bytes:
    """Return the bundle of the entry at `place`, a log and an index."""
    if not isinstance(place, dict):
        raise FormatError(f"says no place of its {what} statement", "release")
    if place.get("index") is None:
        raise UnavailableError(f"the {what} statement is not in the ledger yet: repeat the command")
    index = size(place["index"], f"{what}.index")
    query = urlencode({"log": as_text(place.get("log"), f"{what}.log")})
    entry = api.get(f"ledger/entries/{index}?{query}")
    bundle = entry.get("bundle") if isinstance(entry, dict) else None
    if bundle is None:
        raise UnavailableError(f"no checkpoint covers the {what} statement yet: repeat the command")
    return canonical_json(bundle)


def _trust(data: bytes, named: Named) -> Trust:
    return load_trust(origin_of(parse_bundle(data).entry.inclusion.checkpoint), named)


def _verified(
    data: bytes, predicate_type: str, trust: Trust, named: Named, output: Output
) -> Verified:
    """Verify a statement of the owner's, without a file."""
    return verify_bundle(
        data,
        key=choose_key(trust.keys, parse_bundle(data).hint, named=named.key is not None),
        trusted_root=trust.trusted_root,
        predicate_type=predicate_type,
        policy=Policy(witnesses=trust.policy, keys=trust.keys, now=int(time.time())),
        without_file=True,
        on_step=output.step,
    )


def check_owner(key: TrustedKey, model: str) -> None:
    """Check that a key speaks for a model: one that the reader vouches for speaks for any.

    Raises:
        VerificationError: it is another owner's.
    """
    owner = model.partition("/")[0]
    if key.owner and key.owner.lower() != owner.lower():
        raise VerificationError(
            "the key speaks for another owner's models", expected=owner, found=key.owner
        )


def tell_signer(claim: Verified, api: Api, output: Output) -> None:
    """Say who signed a claim and in which log it stands; a log that is not the registry's too."""
    signer, tree = claim.signer, claim.checkpoint.checkpoint
    who = f"{signer.role} {signer.owner}".strip() or "the key that you named"
    output.line(f"  by      {who}, key {claim.key.fingerprint}")
    output.line(f"  logged  index {claim.index} of {tree.size} in {tree.origin}")
    if urlsplit(api.base).hostname != tree.origin:
        output.line("  this address is not that log's: your pins let it speak for it", "yellow")


def _check_version(
    api: Api, name: Name, said: ReleasePredicate, named: Named, output: Output
) -> None:
    """Check that what was asked for is this release."""
    if name.digest or name.version in (said.version, said.revision):
        return
    if name.version in ("", NEWEST):
        output.note(f"That {said.version} is the newest release is the registry's word.")
        return
    path = f"{model_path(name.model)}/aliases/{part_of(name.version)}"
    found = api.find(path)
    move = found.get("move") if isinstance(found, dict) else None
    if move is None:
        raise VerificationError("another version", expected=name.version, found=said.version)
    data = _bundle_at(api, move, "alias")
    trust = _trust(data, named)
    verified = verify_alias(
        data,
        key=choose_key(trust.keys, parse_bundle(data).hint, named=named.key is not None),
        trusted_root=trust.trusted_root,
        policy=trust.policy,
    )
    moved = AliasPredicate.from_dict(verified.statement.predicate, "predicate")
    asked = (said.model, name.version, said.revision)
    if (moved.model, moved.alias, moved.revision) != asked:
        raise VerificationError(
            "the alias was signed for another revision",
            expected=f"{name.version} of {said.model} at {said.revision}",
            found=f"{moved.alias} of {moved.model} at {moved.revision}",
        )
    output.note(f"That {name.version} has not moved since entry {verified.index} is not checked.")
