"""`assay run`: ask a model, keep the receipt, and check that it is about this question and answer.

1. The inputs are made into the bytes that get hashed; the model is asked.
2. Inputs, output and the signed statement are written, each durable, before anything is judged: a
   lie is evidence too.
3. The receipt is waited for and written: **the commit point**; with it the folder is complete. Who
   is killed before has an execution without its receipt, which `assay inspect statement.txt` names.
4. The receipt must be about the model that was named, this input and this output. With pins it is
   verified, all steps; without, nobody knows who signed it, and the exit code is 3.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from assay.canonical import as_text, canonical_json
from assay.cli.api import Api
from assay.cli.asking import POLL_S, Answer, Site, Wish
from assay.cli.checking import choose_key
from assay.cli.files import make_folder, write_file
from assay.cli.inputs import ports_of, read_inputs
from assay.cli.naming import Name, is_revision, parse_name, release_of
from assay.cli.output import UNCHECKED, VERIFIED, Output, exit_codes
from assay.cli.progress import waiting
from assay.cli.releases import tell_signer
from assay.cli.tokens import TokenOption, UrlOption, reading_api
from assay.cli.trust import Named, NotPinnedError, load_trust, origin_of
from assay.cli.values import as_json as value_as_json, in_words
from assay.cli.verify import JsonOption, KeyOption, PolicyOption, RootOption
from assay.errors import AssayError, MisuseError, UnavailableError, VerificationError
from assay.policy import verify_checkpoint
from assay.receipt import OUTPUT_NAME, Receipt, parse_receipt
from assay.replay.run import set_value
from assay.tensors import decode_tensors, encode_tensors
from assay.verify import Policy, Verified, verify_receipt

RECEIPT, INPUT, STATEMENT, SALTS = "receipt.json", "input.tensors", "statement.txt", "salts.json"
EXECUTORS = ("", "portable", "native")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What is in the folder: the bytes of the two sets, the receipt read, and where it all is."""

    folder: Path
    answer: Answer
    input: bytes
    receipt: Receipt
    data: bytes


def run(
    model: Annotated[str, typer.Argument(help="owner/name, or the digest of a manifest.")],
    *,
    url: UrlOption,
    input_: Annotated[
        list[str] | None,
        typer.Option("--input", help="Inputs: FILE, NAME=FILE.npy, or - for JSON. Repeatable."),
    ] = None,
    version: Annotated[
        str, typer.Option(help="A version, an alias or a revision; else the newest release.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option(help="Folder that keeps it all; else named for the execution.")
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Only commitments are logged; keep the salts.")
    ] = False,
    executor: Annotated[str, typer.Option(help="portable or native; else the default.")] = "",
    queue: Annotated[
        bool, typer.Option("--queue", help="For long runs: queue it, and wait for its end.")
    ] = False,
    wait: Annotated[int, typer.Option(help="Seconds to wait for a place, and for the log.")] = 60,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Exit code 0 also where nothing is pinned.")
    ] = False,
    key: KeyOption = None,
    trusted_root: RootOption = None,
    policy: PolicyOption = None,
    token_file: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a model, keep the receipt. Exit code: 0 verified, 1 refused, 2 usage, 3 not checked."""
    output = Output(as_json=as_json)
    with exit_codes(output):
        name = parse_name(model, version)
        named = Named(key=key, trusted_root=trusted_root, policy=policy)
        _check(out, executor, wait)
        api = reading_api(url, token_file)
        wish = _wish(name, api, executor=executor, private=private, queue=queue, wait=wait)
        with waiting(f"{wish.model} runs, and is logged", quiet=as_json):
            kept = _ask(Site(api), wish, input_ or [], out, named, output)
        _compare(kept, name)
        verified = _verify(kept, named, output)
        _conclude(kept, name, verified, api, output)
        raise typer.Exit(VERIFIED if verified or unverified else UNCHECKED)


def _check(out: Path | None, executor: str, wait: int) -> None:
    if executor not in EXECUTORS:
        raise MisuseError("--executor is portable or native")
    if wait < 0:
        raise MisuseError("--wait is a number of seconds")
    if out is not None and (out / RECEIPT).exists():
        raise MisuseError(f"{out} holds a receipt already: name another folder")


def _wish(name: Name, api: Api, **asked: Any) -> Wish:
    """Return what to ask for; a digest becomes the revision that has it."""
    model, version = name.model, name.version
    if name.digest:
        release = release_of(api, name.digest)
        model = as_text(release.get("model"), "model")
        version = as_text(release.get("revision"), "revision")
    patience = float(asked.pop("wait"))
    return Wish(model=model, version=version, patience_s=patience, **asked)


def _ask(
    site: Site, wish: Wish, given: list[str], out: Path | None, named: Named, output: Output
) -> _Kept:
    """Steps 1 to 3."""
    inputs = read_inputs(given, lambda: ports_of(site.metadata(wish)))
    input_ = encode_tensors(inputs)
    # What was made canonical is what travels: the server would hash no other bytes.
    answer = site.ask(wish, decode_tensors(input_))
    output.line(f"Ran: {wish.model}, execution {answer.execution}")
    folder = out or Path(answer.execution)
    salts = _salts(answer)
    _keep(folder, {INPUT: input_, OUTPUT_NAME: answer.output, **salts})
    if answer.statement:
        _keep(folder, {STATEMENT: answer.statement.encode()})
    data = _receipt(site, answer.execution, wish.patience_s, named)
    _keep(folder, {RECEIPT: data})
    return _Kept(folder=folder, answer=answer, input=input_, receipt=parse_receipt(data), data=data)


def _salts(answer: Answer) -> dict[str, bytes]:
    if answer.input_salt is None or answer.output_salt is None:
        return {}
    salts = {"input": answer.input_salt.hex(), "output": answer.output_salt.hex()}
    return {SALTS: canonical_json(salts)}


def _keep(folder: Path, files: dict[str, bytes]) -> None:
    try:
        make_folder(folder)
        for name, data in files.items():
            write_file(folder, name, data)
    except OSError as error:
        raise UnavailableError(f"cannot write {folder}: {error.strerror}") from error


def _receipt(site: Site, execution: str, patience_s: float, named: Named) -> bytes:
    """Wait for the receipt, and for as many witnesses as the reader asks for."""
    deadline = time.monotonic() + patience_s
    while True:
        left = deadline - time.monotonic()
        data = site.receipt(execution, max(0, int(left)))
        if data is not None and (left <= 0 or _is_witnessed(data, named)):
            return data
        if left <= 0:
            raise UnavailableError(
                f"the log does not cover the execution {execution} yet: the rest is kept; fetch "
                f"{site.base}/executions/{execution}/receipt later, and check it by assay verify"
            )
        time.sleep(POLL_S)


def _is_witnessed(data: bytes, named: Named) -> bool:
    """Tell whether more witnesses may come and are needed; the verdict is somebody else's."""
    try:
        entry = parse_receipt(data).bundle.entry
        note = entry.inclusion.checkpoint
        trust = load_trust(origin_of(note), named)
        log = trust.trusted_root.find(entry.key_id32)
        verify_checkpoint(note, origin=log.origin, log=log.vkey, policy=None)
    except AssayError:
        return True
    try:
        verify_checkpoint(note, origin=log.origin, log=log.vkey, policy=trust.policy)
    except VerificationError:
        return False
    return True


# ------------------------------------------------------------------ step 4


def _compare(kept: _Kept, name: Name) -> None:
    """Check that the receipt is about this question and answer, whoever signed it.

    Raises:
        VerificationError: another execution, model, revision, input or output.
    """
    said = kept.receipt.predicate
    if said.execution != kept.answer.execution:
        raise VerificationError(
            "the receipt is of another execution",
            expected=kept.answer.execution,
            found=said.execution,
        )
    name.check(model=said.model, manifest=said.manifest)
    if is_revision(name.version) and said.revision != name.version:
        raise VerificationError("another revision ran", expected=name.version, found=said.revision)
    answer = kept.answer
    for what, claimed, data, salt in (
        ("input", said.input, kept.input, answer.input_salt),
        ("output", said.output, answer.output, answer.output_salt),
    ):
        if claimed.form == "commitment" and salt is None:
            raise VerificationError(f"the {what} is committed to, and no salt came to open it")
        found = set_value(claimed, data, salt)
        if found != claimed.sha256:
            raise VerificationError(
                f"the receipt is about another {what}", expected=claimed.sha256, found=found
            )


def _verify(kept: _Kept, named: Named, output: Output) -> Verified | None:
    """Verify the receipt by what is pinned; None, and a note, where that is nothing."""
    bundle = kept.receipt.bundle
    origin = origin_of(bundle.entry.inclusion.checkpoint)
    try:
        trust = load_trust(origin, named)
    except NotPinnedError:
        output.note(
            f"Not verified: nothing is pinned for the log {origin}, so nobody knows who signed it; "
            "`assay trust init URL` pins, and `assay verify` checks what is kept"
        )
        return None
    answer = kept.answer
    return verify_receipt(
        kept.data,
        key=choose_key(trust.keys, bundle.hint, named=named.key is not None),
        trusted_root=trust.trusted_root,
        policy=Policy(witnesses=trust.policy, keys=trust.keys, now=int(time.time())),
        output=answer.output,
        output_salt=answer.output_salt,
        input=kept.input,
        input_salt=answer.input_salt,
        on_step=output.step,
    )


def _conclude(kept: _Kept, name: Name, verified: Verified | None, api: Api, output: Output) -> None:
    said = kept.receipt.predicate
    tensors = decode_tensors(kept.answer.output)
    if verified is not None:
        output.line("Verified", style="bold green")
        tell_signer(verified, api, output)
    output.line(f"  ran     {said.model} at {said.revision}")
    output.line(f"  content {said.manifest}")
    if name.version and not is_revision(name.version):
        output.line(f"  that {name.version} is this revision is the registry's word", "yellow")
    output.line(f"  kept    in {kept.folder}")
    for tensor in tensors:
        output.line(f"  {tensor.name}: {in_words(tensor)}", style="bold")
    output.line("  whether it is true: `assay replay` runs it again")
    output.json(
        verdict="verified" if verified else "not verified",
        execution=said.execution,
        model=said.model,
        revision=said.revision,
        manifest=said.manifest,
        input=said.input.to_dict(),
        output=said.output.to_dict(),
        key=verified.key.fingerprint if verified else None,
        index=verified.index if verified else None,
        log=verified.checkpoint.checkpoint.origin if verified else None,
        folder=str(kept.folder),
        outputs=[value_as_json(tensor) for tensor in tensors],
    )
