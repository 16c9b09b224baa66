"""Release a revision that the registry holds: ask what to sign, check, sign, send."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from assay.cli.api import Api, RefusedError, part_of
from assay.cli.output import Output
from assay.cli.signing import (
    Proposal,
    check_proposal,
    ignored_files,
    parse_proposal,
    release_body,
)
from assay.dsse import public_key_of
from assay.errors import MisuseError
from assay.manifest import Manifest

MAX_NOTES = 20_000


def model_path(model: str) -> str:
    """Return the path of `owner/name` in the API.

    Raises:
        MisuseError: not two names.
    """
    owner, slash, name = model.partition("/")
    if not owner or not slash or not name or "/" in name:
        raise MisuseError(f"{model!r} is not owner/name")
    return f"models/{part_of(owner)}/{part_of(name)}"


def propose(api: Api, model: str, revision: str, folder: Manifest, output: Output) -> Proposal:
    """Return the server's proposal, checked against the folder; say what could not be checked.

    Raises:
        VerificationError: it is not this folder's.
        RefusedError, UnavailableError, FormatError: as `Api.call`.
    """
    path = f"{model_path(model)}/revisions/{part_of(revision)}/signing"
    proposal = parse_proposal(api.get(path))
    check_proposal(proposal, folder, model=model, revision=revision)
    output.line(f"Checked {len(proposal.files)} files against the folder: {folder.digest}")
    for name in ignored_files(proposal):
        output.note(f"Not checked: {name}, which Model Signing leaves out")
    output.line(f"  licence {proposal.license}; release before: {proposal.previous or 'none'}")
    return proposal


def release(
    api: Api, proposal: Proposal, version: str, notes: str, key: ec.EllipticCurvePrivateKey
) -> dict[str, Any]:
    """Sign and send a release, and return it; one that was made by this very call before counts.

    Raises:
        RefusedError, UnavailableError, FormatError: as `Api.call`.
    """
    body = release_body(proposal, version, notes, key)
    path = f"{model_path(proposal.model)}/releases"
    try:
        made: dict[str, Any] = api.post(path, body)
    except RefusedError as error:
        # The answer to an earlier attempt may have been lost: then the release is there.
        found = api.find(f"{path}/{part_of(version)}") if error.status == 409 else None
        mine = public_key_of(key.public_key()).fingerprint
        if not isinstance(found, dict) or (found.get("revision"), found.get("key")) != (
            proposal.revision,
            mine,
        ):
            raise
        made = found
    return made
