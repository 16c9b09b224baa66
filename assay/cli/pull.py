"""`assay pull`: a model's folder, by name or by digest, checked while it comes.

1. The release statement is verified: its key's owner says that this version of this model has these
   files. An alias is verified too; that a version is the newest is the registry's word.
2. The model signature over the same files is verified; it is kept as `model.sig`.
3. Each file is hashed while it streams, into a place beside the folder, and taken up there when the
   command is repeated (`assay.cli.staging`).
4. The folder gets its name when all of it is there and right: **the commit point**.

With `--unsigned` steps 1 and 2 are left out: what a digest names is still compared with it, what a
name names is the registry's word.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from assay.cli.api import Api
from assay.cli.download import Wanted
from assay.cli.files import read_folder
from assay.cli.naming import parse_name
from assay.cli.output import Output, exit_codes
from assay.cli.progress import byte_progress
from assay.cli.releases import Content, find_signed, find_unsigned, sizes_of, tell_signer
from assay.cli.staging import Staging, Where
from assay.cli.tokens import TokenOption, UrlOption, reading_api
from assay.cli.trust import Named
from assay.cli.verify import JsonOption, KeyOption, PolicyOption, RootOption
from assay.errors import AssayError, MisuseError
from assay.manifest import SIGNATURE_FILE


def pull(
    model: Annotated[str, typer.Argument(help="owner/name, or the digest of a manifest.")],
    folder: Annotated[
        Path | None, typer.Argument(help="Where it goes; else a folder named like the model.")
    ] = None,
    *,
    url: UrlOption,
    version: Annotated[
        str, typer.Option(help="A version, an alias or a revision; else the newest release.")
    ] = "",
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Check no signature; the newest may be a draft.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, max=32, help="Downloads at one time.")] = 4,
    key: KeyOption = None,
    trusted_root: RootOption = None,
    policy: PolicyOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch a model's folder, checked. Exit code: 0 all there, 1 refused, 2 usage, 3 repeat it."""
    output = Output(as_json=as_json)
    with exit_codes(output):
        name = parse_name(model, version)
        api = reading_api(url, token_file)
        if unsigned:
            content = find_unsigned(api, name)
            output.note("No signature was checked: who made this is the registry's word.")
        else:
            named = Named(key=key, trusted_root=trusted_root, policy=policy)
            content = find_signed(api, name, named, output)
        target = folder or Path(content.model.partition("/")[2])
        if _is_there(target, content):
            _conclude(content, target, 0, api, output, there=True)
            return
        fetched = _fetch(api, content, target, jobs, output)
        _conclude(content, target, fetched, api, output, there=False)


def _is_there(folder: Path, content: Content) -> bool:
    """Tell whether the folder is there, whole.

    Raises:
        MisuseError: something else is.
    """
    if folder.is_dir() and not folder.is_symlink():
        if not any(folder.iterdir()):
            return False
        try:
            content.manifest.check_folder(read_folder(folder))
        except AssayError as error:
            raise MisuseError(f"{folder} is there, and something else: {error}") from error
        return True
    if folder.exists() or folder.is_symlink():
        raise MisuseError(f"{folder} is there, and no folder")
    return False


def _fetch(api: Api, content: Content, folder: Path, jobs: int, output: Output) -> int:
    """Steps 3 and 4; return how many bytes travelled."""
    sizes = sizes_of(api, content)
    total = sum(sizes[sha256] for sha256 in {item.sha256 for item in content.manifest.resources})
    staging = Staging(folder.absolute())
    with (
        staging.open(),
        byte_progress(content.model, total, quiet=output.as_json) as told,
    ):
        fetched = staging.fill(content.manifest, _places(api, content, sizes), jobs, told)
        staging.commit({SIGNATURE_FILE: content.signature} if content.signature else {})
    return fetched


def _places(api: Api, content: Content, sizes: Mapping[str, int]) -> Where:
    """Return where each file is: an address that takes tokens and knows ranges."""
    owner, _, name = content.model.partition("/")
    base = f"{api.base.rstrip('/')}/hf/{quote(owner)}/{quote(name)}/resolve/{content.revision}"

    def where(path: str, sha256: str) -> Wanted:
        address = f"{base}/{quote(path)}"
        return Wanted(url=address, sha256=sha256, size=sizes[sha256], token=api.token)

    return where


def _conclude(
    content: Content, folder: Path, fetched: int, api: Api, output: Output, *, there: bool
) -> None:
    count = len(content.manifest.resources)
    words = f"{folder} is there, and right" if there else f"Pulled {count} files into {folder}"
    output.line(words, style="bold green")
    output.line(f"  model   {content.model} {content.version}".rstrip())
    output.line(f"  content {content.manifest.digest}, revision {content.revision}")
    if content.claim is not None:
        tell_signer(content.claim, api, output)
    output.line(f"  fetched {fetched:,} bytes")
    output.json(
        verdict="there" if there else "pulled",
        model=content.model,
        version=content.version or None,
        revision=content.revision,
        manifest=content.manifest.digest,
        key=content.claim.key.fingerprint if content.claim else None,
        owner=content.claim.signer.owner if content.claim else None,
        log=content.claim.checkpoint.checkpoint.origin if content.claim else None,
        folder=str(folder),
        files=count,
        fetched=fetched,
    )
