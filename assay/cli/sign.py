"""`assay sign`: a folder by Model Signing, or a whole release of a revision."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric import ec

from assay.canonical import canonical_json, parse_json
from assay.cli.files import read_file, read_folder, write_file
from assay.cli.keyfile import KeyFileOption, PassphraseOption, load_key
from assay.cli.output import Output, exit_codes
from assay.cli.releasing import model_path, propose, release
from assay.cli.signing import check_proposal, model_signature, parse_proposal, release_body
from assay.cli.tokens import TokenOption, TrustedOption, UrlOption, api_for
from assay.cli.verify import JsonOption
from assay.dsse import public_key_of
from assay.errors import MisuseError, UnavailableError
from assay.manifest import SIGNATURE_FILE, Manifest

FolderArgument = Annotated[Path, typer.Argument(help="The model folder.")]
VersionOption = Annotated[str, typer.Option(help="The version; else the registry proposes one.")]
NotesOption = Annotated[str, typer.Option(help="Release notes, Markdown.")]
_MAX_PROPOSAL = 16 * 2**20


def sign(
    folder: FolderArgument,
    *,
    key: KeyFileOption,
    model: Annotated[str, typer.Option(help="Release a revision of this owner/name.")] = "",
    revision: Annotated[str, typer.Option(help="The revision; else the newest.")] = "",
    version: VersionOption = "",
    notes: NotesOption = "",
    url: UrlOption = "",
    proposal: Annotated[
        Path | None, typer.Option(help="What to sign, from GET …/signing: no network then.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where the signature is written.")] = None,
    token_file: TokenOption = None,
    trusted: TrustedOption = False,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign a folder. Exit code: 0 signed, 1 refused, 2 usage, 3 no answer, or not readable."""
    output = Output(as_json=as_json)
    with exit_codes(output):
        if model and proposal is not None:
            raise MisuseError("--model asks the registry, --proposal does not: choose one")
        private = load_key(key, passphrase_file)
        manifest = read_folder(folder)
        fingerprint = public_key_of(private.public_key()).fingerprint
        if model:
            if not url:
                raise MisuseError("--model needs --url, the registry")
            api = api_for(url, token_file, trusted=trusted, model=model)
            wanted = revision or api.get(model_path(model))["head"]
            if not wanted:
                raise MisuseError(f"{model} has no revision yet: assay push makes one")
            offered = propose(api, model, wanted, manifest, output)
            made = release(api, offered, version or offered.next_version, notes, private)
            output.line(f"Released {made['model']} {made['version']}", style="bold green")
            output.json(verdict="released", release=made, key=fingerprint)
            return
        if proposal is not None:
            data = _for_proposal(manifest, proposal, version, notes, private)
            target = out or Path("release.json")
        else:
            data = model_signature(manifest, folder.resolve().name, private)
            target = out or folder / SIGNATURE_FILE
        _write(target, data)
        output.line(f"Signed {len(manifest.resources)} files into {target}", style="bold green")
        output.line(f"  manifest  {manifest.digest}")
        output.line(f"  key       {fingerprint}")
        output.json(verdict="signed", path=str(target), manifest=manifest.digest, key=fingerprint)


def _for_proposal(
    manifest: Manifest, path: Path, version: str, notes: str, private: ec.EllipticCurvePrivateKey
) -> bytes:
    offered = parse_proposal(parse_json(read_file(path, _MAX_PROPOSAL), max_bytes=_MAX_PROPOSAL))
    check_proposal(offered, manifest, model="", revision="")
    return canonical_json(release_body(offered, version or offered.next_version, notes, private))


def _write(target: Path, data: bytes) -> None:
    try:
        write_file(target.parent, target.name, data)
    except OSError as error:
        raise UnavailableError(f"cannot write {target}: {error.strerror}") from error
