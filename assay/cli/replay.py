"""`assay replay`: run the execution of a receipt again and compare bits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from assay.cli.files import read_file, read_folder
from assay.cli.output import REFUSED, UNCHECKED, VERIFIED, Output, exit_codes
from assay.cli.settings import node_binary
from assay.cli.trust import Named, NotPinnedError, Trust, load_keys, load_trust, origin_of
from assay.cli.verify import (
    InputSaltOption,
    JsonOption,
    KeyOption,
    PolicyOption,
    ReceiptArgument,
    RootOption,
    SaltOption,
    choose_key,
    parse_salt,
    read_receipt,
)
from assay.dsse import verify_envelope
from assay.errors import MisuseError, UnavailableError
from assay.fetch import check_url, fetch
from assay.limits import LIMITS
from assay.receipt import Receipt, parse_receipt
from assay.replay import (
    DIVERGED,
    EXACT,
    UNRUNNABLE,
    Material,
    NodeRunner,
    Registry,
    Replay,
    files_from_folder,
    files_from_registry,
    find_node,
    material_from_registry,
    read_model,
    replay as run_again,
)
from assay.replay.run import set_value
from assay.statements import ExecutionPredicate
from assay.verify import verify_receipt

_EXIT = {EXACT: VERIFIED, DIVERGED: REFUSED, UNRUNNABLE: UNCHECKED}
_STYLE = {EXACT: "bold green", DIVERGED: "bold red", UNRUNNABLE: "bold yellow"}
_LOG_MOUNT = "/log"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """What the reader has at hand; the rest comes from the registry at `base`, if that is known."""

    model: Path | None
    input: Path | None
    blob: Path | None
    runtime: Path | None
    base: str
    input_salt: bytes | None
    output_salt: bytes | None

    @property
    def offline(self) -> bool:
        """Nothing needs to be fetched."""
        return None not in (self.model, self.input, self.runtime)

    def registry(self) -> Registry:
        """Return the registry; MisuseError when none is known."""
        if not self.base:
            raise MisuseError("give --url, or --model, --input and --runtime")
        return Registry(check_url(self.base), fetch)


def replay(
    receipt: ReceiptArgument,
    *,
    model: Annotated[
        Path | None, typer.Option(help="The ONNX file, or the whole model folder.")
    ] = None,
    input_: Annotated[Path | None, typer.Option("--input", help="The file input.tensors.")] = None,
    blob: Annotated[
        Path | None, typer.Option(help="The claimed output.tensors: tells what differs.")
    ] = None,
    url: Annotated[str, typer.Option(help="The registry to fetch the rest from.")] = "",
    runtime: Annotated[
        Path | None, typer.Option(help="Folder with the runtime's files, which are run.")
    ] = None,
    key: KeyOption = None,
    trusted_root: RootOption = None,
    policy: PolicyOption = None,
    input_salt: InputSaltOption = "",
    output_salt: SaltOption = "",
    as_json: JsonOption = False,
) -> None:
    """Run it again and compare bits. Exit code: 0 exact, 1 diverged or refused, 3 unrunnable."""
    output = Output(as_json=as_json)
    with exit_codes(output):
        data = read_receipt(receipt)
        parsed = parse_receipt(data)
        named = Named(key=key, trusted_root=trusted_root, policy=policy)
        trust = _check_signature(data, parsed, named, output)
        given = _Given(
            model=model,
            input=input_,
            blob=blob,
            runtime=runtime,
            base=url or _base_of(receipt, parsed, trust),
            input_salt=parse_salt(input_salt),
            output_salt=parse_salt(output_salt),
        )
        raise typer.Exit(_conclude(_run(parsed.predicate, given), parsed.predicate, output))


def _check_signature(data: bytes, receipt: Receipt, named: Named, output: Output) -> Trust | None:
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


def _base_of(receipt: str, parsed: Receipt, trust: Trust | None) -> str:
    """Return the registry that a receipt's URL or the trusted log's base URL belongs to."""
    parts = urlsplit(receipt)
    if parts.scheme in ("http", "https"):
        return f"{parts.scheme}://{parts.netloc}"
    if trust is None:
        return ""
    log = trust.trusted_root.find(parsed.bundle.entry.key_id32)
    return log.base_url.rstrip("/").removesuffix(_LOG_MOUNT)


def _run(predicate: ExecutionPredicate, given: _Given) -> Replay:
    material = _material(predicate, given)
    if given.runtime is not None:
        files = files_from_folder(predicate.runtime, given.runtime)
    else:
        files = files_from_registry(predicate.runtime, given.registry())
    return run_again(
        predicate,
        material,
        NodeRunner(node=find_node(node_binary()), files=files),
        claimed_output=_claimed(predicate, given),
        input_salt=given.input_salt,
        output_salt=given.output_salt,
    )


def _material(predicate: ExecutionPredicate, given: _Given) -> Material:
    tensors = read_file(given.input, LIMITS.tensor_bytes) if given.input is not None else None
    if given.model is None:
        return material_from_registry(predicate, given.registry(), input_tensors=tensors)
    manifest = read_folder(given.model) if given.model.is_dir() else None
    graph, external = read_model(predicate, given.model, manifest)
    if tensors is None:
        tensors = given.registry().tensors(predicate.execution, "input")
    return Material(graph=graph, external=external, input=tensors)


def _claimed(predicate: ExecutionPredicate, given: _Given) -> bytes | None:
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


def _conclude(result: Replay, predicate: ExecutionPredicate, output: Output) -> int:
    runtime = predicate.runtime
    output.line(result.verdict, style=_STYLE[result.verdict])
    output.line(f"  why       {result.reason}")
    output.line(f"  claimed   {predicate.output.form} {result.claimed}")
    if result.found:
        output.line(f"  replayed  {predicate.output.form} {result.found}")
    output.line(f"  under     {runtime.name} {runtime.version}, {runtime.digest}")
    for item in result.differences:
        output.line(f"  differs   {item.name}: {item.detail}")
    output.json(
        verdict=result.verdict,
        reason=result.reason,
        execution=predicate.execution,
        claimed=result.claimed,
        replayed=result.found or None,
        runtime=runtime.to_dict(),
        differences=[{"name": item.name, "detail": item.detail} for item in result.differences],
    )
    return _EXIT[result.verdict]
