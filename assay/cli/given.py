"""What `assay replay` and `assay trace` share: the receipt's signature, and the bytes of a run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from assay.cli.checking import choose_key, parse_salt, read_receipt
from assay.cli.files import read_file, read_folder
from assay.cli.output import Output
from assay.cli.settings import api_token, node_binary
from assay.cli.trust import Named, NotPinnedError, Trust, load_keys, load_trust, origin_of
from assay.dsse import verify_envelope
from assay.errors import MisuseError, UnavailableError
from assay.fetch import check_url, fetch
from assay.limits import LIMITS
from assay.receipt import Receipt, parse_receipt
from assay.replay import (
    Material,
    NodeRunner,
    Registry,
    files_from_folder,
    files_from_registry,
    find_node,
    material_from_registry,
    read_model,
)
from assay.replay.run import set_value
from assay.statements import ExecutionPredicate, Runtime
from assay.verify import verify_receipt

_LOG_MOUNT = "/log"
ModelOption = Annotated[Path | None, typer.Option(help="The ONNX file, or the whole model folder.")]
InputOption = Annotated[Path | None, typer.Option("--input", help="The file input.tensors.")]
UrlOption = Annotated[str, typer.Option(help="The registry to fetch the rest from.")]
RuntimeOption = Annotated[
    Path | None, typer.Option(help="Folder with the runtime's files, which are run.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the reader has at hand; the rest comes from the registry at `base`, if that is known.

    `token` goes to that registry along with each request.
    """

    model: Path | None
    input: Path | None
    blob: Path | None
    runtime: Path | None
    base: str
    input_salt: bytes | None
    output_salt: bytes | None
    token: str = ""

    @property
    def offline(self) -> bool:
        """Nothing needs to be fetched."""
        return None not in (self.model, self.input, self.runtime)

    def registry(self) -> Registry:
        """Return the registry; MisuseError when none is known."""
        if not self.base:
            raise MisuseError("give --url, or --model, --input and --runtime")
        ask = partial(fetch, token=self.token) if self.token else fetch
        return Registry(check_url(self.base), ask)


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The same as the options say it: `""` is a salt or an address that was not given."""

    model: Path | None
    input: Path | None
    blob: Path | None
    runtime: Path | None
    url: str
    input_salt: str
    output_salt: str


def open_receipt(
    source: str, files: Files, named: Named, output: Output
) -> tuple[ExecutionPredicate, Given]:
    """Read and check the receipt at `source`; return what it claims, and what is at hand for it.

    Raises: as `check_signature`, and MisuseError for a salt that is none.
    """
    data = _read(source, files)
    parsed = parse_receipt(data)
    trust = check_signature(data, parsed, named, output)
    base = files.url or base_of(source, parsed, trust)
    return parsed.predicate, Given(
        model=files.model,
        input=files.input,
        blob=files.blob,
        runtime=files.runtime,
        base=base,
        token=_token_for(base, files, parsed, trust),
        input_salt=parse_salt(files.input_salt),
        output_salt=parse_salt(files.output_salt),
    )


def _read(source: str, files: Files) -> bytes:
    """Return the receipt; the reader's token goes to the registry that `--url` names."""
    site = f"{files.url.rstrip('/')}/"
    if files.url and source.startswith(site):
        return fetch(source, limit=LIMITS.bundle, token=api_token())
    return read_receipt(source)


def _token_for(base: str, files: Files, parsed: Receipt, trust: Trust | None) -> str:
    """Return the token for the registry at `base`, `""` where it is not for that place.

    It goes to the registry that `--url` names or whose log is pinned. The address of a receipt may
    be anybody's.
    """
    pinned = "" if trust is None else _base_of_log(parsed, trust)
    return api_token() if base and base in (files.url, pinned) else ""


def check_signature(data: bytes, receipt: Receipt, named: Named, output: Output) -> Trust | None:
    """Check as much of the receipt as the reader's pins allow, and say how much that was."""
    bundle = receipt.bundle
    origin = origin_of(bundle.entry.inclusion.checkpoint)
    try:
        trust = load_trust(origin, named)
    except NotPinnedError:
        if named.trusted_root is not None or named.policy is not None:
            raise  # the reader asked for the log: a check of less is no answer
        _check_envelope(receipt, origin, named, output)
        return None
    verify_receipt(
        data,
        key=choose_key(trust.keys, bundle.hint, named=named.key is not None),
        trusted_root=trust.trusted_root,
        policy=trust.policy,
        on_step=output.step,
    )
    return trust


def _check_envelope(receipt: Receipt, origin: str, named: Named, output: Output) -> None:
    try:
        keys = load_keys(origin, named.key)
    except NotPinnedError:
        output.note("The signature was not checked: no key is known.")
        return
    trusted = choose_key(keys, receipt.bundle.hint, named=named.key is not None)
    trusted.check_role(receipt.statement.predicate_type)
    verify_envelope(receipt.bundle.envelope, trusted.key)
    output.note(f"Signed by key {trusted.key.fingerprint}; the log was not checked.")


def base_of(receipt: str, parsed: Receipt, trust: Trust | None) -> str:
    """Return the registry that a receipt's URL or the trusted log's base URL belongs to."""
    parts = urlsplit(receipt)
    if parts.scheme in ("http", "https"):
        return f"{parts.scheme}://{parts.netloc}"
    return "" if trust is None else _base_of_log(parsed, trust)


def _base_of_log(parsed: Receipt, trust: Trust) -> str:
    log = trust.trusted_root.find(parsed.bundle.entry.key_id32)
    return log.base_url.rstrip("/").removesuffix(_LOG_MOUNT)


def runner_for(runtime: Runtime, given: Given) -> NodeRunner:
    """Return Node with the files of `runtime`: those in the reader's folder, or known ones.

    Raises:
        UnavailableError: there is no Node, or nobody has the files.
        VerificationError: they are others.
    """
    if given.runtime is not None:
        files = files_from_folder(runtime, given.runtime)
    else:
        files = files_from_registry(runtime, given.registry())
    return NodeRunner(node=find_node(node_binary()), files=files)


def material_of(predicate: ExecutionPredicate, given: Given) -> Material:
    """Return graph, external data and input, from the reader's files or the registry."""
    tensors = read_file(given.input, LIMITS.tensor_bytes) if given.input is not None else None
    if given.model is None:
        return material_from_registry(predicate, given.registry(), input_tensors=tensors)
    manifest = read_folder(given.model) if given.model.is_dir() else None
    graph, external = read_model(predicate, given.model, manifest)
    if tensors is None:
        tensors = given.registry().tensors(predicate.execution, "input")
    return Material(graph=graph, external=external, input=tensors)


def claimed(predicate: ExecutionPredicate, given: Given) -> bytes | None:
    """Return the claimed output where it can be had: the verdict does not need it."""
    if given.blob is not None:
        return read_file(given.blob, LIMITS.tensor_bytes)
    if given.offline:
        return None
    try:
        data = given.registry().tensors(predicate.execution, "output")
    except UnavailableError:
        return None
    matches = set_value(predicate.output, data, given.output_salt) == predicate.output.sha256
    return data if matches else None
