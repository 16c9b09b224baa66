"""`assay page`: a receipt as one HTML file that checks it again by itself, with no network."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from assay.bundle import parse_bundle
from assay.cli.checking import choose_key, parse_salt, read_receipt
from assay.cli.files import read_file, write_file
from assay.cli.output import Output, exit_codes
from assay.cli.trust import Named, Trust, load_trust, origin_of
from assay.cli.verify import (
    InputSaltOption,
    JsonOption,
    KeyOption,
    PolicyOption,
    ReceiptArgument,
    RootOption,
    SaltOption,
)
from assay.errors import UnavailableError
from assay.limits import LIMITS
from assay.page import Evidence, PageParts, join_modules, keys_document, render_page
from assay.policy import render_policy, render_trusted_root
from assay.statements import ALIAS, EXECUTION
from assay.verify import (
    Policy,
    TrustedKey,
    Verified,
    verify_alias,
    verify_bundle,
    verify_receipt,
)
from assay.verify.fresh import instant

_ENTRY = "check/saved-page.js"
_TEMPLATE, _STYLE = "page.html", "page.css"
_EMBEDDED = 8 * 2**20  # larger tensors stay beside the file: browsers read pages whole


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the options say: the claim's type, and the reader's files, read."""

    predicate_type: str
    registration: bytes | None
    output: bytes | None
    output_salt: bytes | None
    input: bytes | None
    input_salt: bytes | None


def page(
    receipt: ReceiptArgument,
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the page is written.")] = Path(
        "receipt.html"
    ),
    key: KeyOption = None,
    trusted_root: RootOption = None,
    policy: PolicyOption = None,
    registration: Annotated[
        str, typer.Option(help="The key's own entry, a bundle: a file or a URL.")
    ] = "",
    blob: Annotated[
        Path | None, typer.Option(help="The file output.tensors, to put into the page.")
    ] = None,
    input_: Annotated[
        Path | None, typer.Option("--input", help="The file input.tensors, to put into the page.")
    ] = None,
    type_: Annotated[
        str, typer.Option("--type", help="The predicate type that must have been signed.")
    ] = EXECUTION,
    output_salt: SaltOption = "",
    input_salt: InputSaltOption = "",
    as_json: JsonOption = False,
) -> None:
    """Write one HTML file that checks a receipt, offline. Exit code: 0 written, 1 refused."""
    output = Output(as_json=as_json)
    with exit_codes(output):
        asked = _Asked(
            predicate_type=type_,
            registration=read_receipt(registration) if registration else None,
            output=_tensors(blob),
            output_salt=parse_salt(output_salt),
            input=_tensors(input_),
            input_salt=parse_salt(input_salt),
        )
        data = read_receipt(receipt)
        bundle = parse_bundle(data)
        trust = load_trust(
            origin_of(bundle.entry.inclusion.checkpoint),
            Named(key=key, trusted_root=trusted_root, policy=policy),
        )
        signer = choose_key(trust.keys, bundle.hint, named=key is not None)
        verified = _verify(data, signer, trust, asked, output)
        evidence = _evidence(data, signer, trust, _embedded(asked, output))
        written = _write(out, evidence)
        output.line(f"Written: {out}, {written} bytes", style="bold green")
        output.line("  it loads nothing and sends nothing: open it with any browser of today")
        output.line("  whoever gets it compares the keys that it shows with their own pins")
        output.json(verdict="written", file=str(out), bytes=written, index=verified.index)


def _tensors(path: Path | None) -> bytes | None:
    return None if path is None else read_file(path, LIMITS.tensor_bytes)


def _verify(
    data: bytes, signer: TrustedKey, trust: Trust, asked: _Asked, output: Output
) -> Verified:
    """Check the claim as the page will: nothing is written that does not hold."""
    policy = Policy(witnesses=trust.policy, keys=trust.keys)
    if asked.predicate_type == EXECUTION:
        return verify_receipt(
            data,
            key=signer,
            trusted_root=trust.trusted_root,
            policy=policy,
            registration=asked.registration,
            output=asked.output,
            output_salt=asked.output_salt,
            input=asked.input,
            input_salt=asked.input_salt,
            on_step=output.step,
        )
    if asked.predicate_type == ALIAS:
        return verify_alias(
            data,
            key=signer,
            trusted_root=trust.trusted_root,
            policy=policy,
            registration=asked.registration,
            on_step=output.step,
        )
    return verify_bundle(
        data,
        key=signer,
        trusted_root=trust.trusted_root,
        predicate_type=asked.predicate_type,
        policy=policy,
        registration=asked.registration,
        without_file=True,
        on_step=output.step,
    )


def _embedded(asked: _Asked, output: Output) -> _Asked:
    """Leave out tensors that are too large for a page, and say so."""
    output_left, input_left = (
        data is not None and len(data) > _EMBEDDED for data in (asked.output, asked.input)
    )
    for name, left in (("output", output_left), ("input", input_left)):
        if left:
            output.note(f"The {name} is larger than {_EMBEDDED} bytes: the page asks for the file.")
    return replace(
        asked,
        output=None if output_left else asked.output,
        input=None if input_left else asked.input,
    )


def _evidence(data: bytes, signer: TrustedKey, trust: Trust, asked: _Asked) -> Evidence:
    vouched = not signer.role
    return Evidence(
        receipt=data,
        predicate_type=asked.predicate_type,
        trusted_root=render_trusted_root(trust.trusted_root.logs),
        policy=render_policy(trust.policy),
        made_at=instant(int(time.time())),
        key=signer.key.pem.encode("ascii") if vouched else None,
        keys=None if vouched else keys_document(signer),
        registration=asked.registration,
        output=asked.output,
        output_salt=asked.output_salt,
        input=asked.input,
        input_salt=asked.input_salt,
    )


def _write(out: Path, evidence: Evidence) -> int:
    package = files("assay.page")
    whole = render_page(
        PageParts(
            template=_text(package / _TEMPLATE),
            style=_text(package / _STYLE),
            script=join_modules(_modules(_scripts(package)), _ENTRY),
            evidence=evidence,
        )
    )
    try:
        write_file(out.parent, out.name, whole)
    except OSError as error:
        raise UnavailableError(f"cannot write {out}: {error.strerror}") from error
    return len(whole)


def _scripts(package: Traversable) -> Traversable:
    """Return the folder of the browser's modules: in the wheel, or where the source tree has it."""
    packed = package / "js"
    return packed if packed.is_dir() else files("assay") / ".." / "static" / "js"


def _modules(folder: Traversable) -> dict[str, str]:
    """Return the texts of the modules that a page can be made of, by path."""
    found = {}
    waiting = [(name, folder / name) for name in ("assay", "check")]
    while waiting:
        path, place = waiting.pop()
        if place.is_dir():
            waiting += [(f"{path}/{child.name}", child) for child in place.iterdir()]
        else:
            found[path] = _text(place)
    return found


def _text(place: Traversable) -> str:
    try:
        return place.read_text(encoding="utf-8")
    except OSError as error:
        raise UnavailableError(f"this installation lacks a file: {error}") from error
