"""`assay push`: a folder becomes a signed release, in one command that a build machine can run.

1. Hash the folder, look at the newest revision: what is the same there is not sent.
2. Upload what is missing, in parts.
3. Make the revision; wait for its inspection.
4. Check what the server proposes to sign against the folder, sign, release.

Each step finds what an earlier run of the same command has done, so it can be repeated until it
ends with 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from cryptography.hazmat.primitives.asymmetric import ec

from assay.cli.api import Api, RefusedError, part_of
from assay.cli.files import read_folder
from assay.cli.keyfile import PassphraseOption, load_key
from assay.cli.output import VERIFIED, Output, exit_codes
from assay.cli.releasing import MAX_NOTES, model_path, propose, release
from assay.cli.sending import send_file, wait_inspected
from assay.cli.sign import FolderArgument, NotesOption, VersionOption
from assay.cli.tokens import TokenOption, TrustedOption, UrlOption, api_for
from assay.cli.verify import JsonOption
from assay.dsse import public_key_of
from assay.errors import MisuseError
from assay.manifest import Manifest

MAX_MESSAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a push has to do: `send` are the paths whose content the newest revision has not."""

    head: str | None
    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    send: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        """Whether the newest revision is this very folder."""
        return self.head is not None and not (self.added or self.changed or self.removed)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "head": self.head,
            "added": list(self.added),
            "changed": list(self.changed),
            "removed": list(self.removed),
            "send": list(self.send),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the reader asked for; `wait` in seconds."""

    model: str
    message: str
    version: str
    notes: str
    wait: int


def push(
    folder: FolderArgument,
    model: Annotated[str, typer.Argument(help="owner/name.")],
    *,
    url: UrlOption,
    key: Annotated[
        Path | None, typer.Option(help="Your private key, PKCS#8 PEM; without it no release.")
    ] = None,
    version: VersionOption = "",
    notes: NotesOption = "",
    message: Annotated[str, typer.Option(help="What this revision changes.")] = "",
    create: Annotated[
        str, typer.Option(help="Make the model when it is not there: public or private.")
    ] = "",
    no_release: Annotated[
        bool, typer.Option("--no-release", help="End after the inspection.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")
    ] = False,
    wait: Annotated[int, typer.Option(help="Seconds to wait for each check of the server.")] = 600,
    token_file: TokenOption = None,
    trusted: TrustedOption = False,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish a folder. Exit code: 0 done, 1 refused, 2 usage, 3 no answer: repeat it."""
    output = Output(as_json=as_json)
    with exit_codes(output):
        if (key is None) != no_release and not dry_run:
            raise MisuseError("name the --key that signs the release, or say --no-release")
        _check(create, notes, message)
        private = None if key is None else load_key(key, passphrase_file)  # before all the work
        path, manifest = model_path(model), read_folder(folder)
        output.line(f"Hashed {len(manifest.resources)} files: {manifest.digest}")
        api = api_for(url, token_file, trusted=trusted, model=model)
        found = api.find(path)
        if found is None and not create:
            raise MisuseError(f"there is no model {model} for this token: --create makes one")
        plan = _plan(api, path, found, manifest)
        _tell(plan, output)
        if dry_run:
            output.json(verdict="planned", manifest=manifest.digest, plan=plan.to_dict())
            raise typer.Exit(VERIFIED)
        if found is None:
            _create(api, model, create)
        order = Order(model=model, message=message, version=version, notes=notes, wait=wait)
        _carry_out(api, order, folder, manifest, plan, private, output)


def _check(create: str, notes: str, message: str) -> None:
    if create not in ("", "public", "private"):
        raise MisuseError("--create is public or private")
    if len(notes) > MAX_NOTES or len(message) > MAX_MESSAGE:
        raise MisuseError(f"notes have at most {MAX_NOTES} characters, a message {MAX_MESSAGE}")


def _create(api: Api, model: str, visibility: str) -> None:
    owner, _, name = model.partition("/")
    try:
        api.post("models", {"owner": owner, "name": name, "visibility": visibility})
    except RefusedError as error:
        # The answer to an earlier attempt may have been lost: then the model is there.
        if error.status != 409 or api.find(model_path(model)) is None:
            raise


def _carry_out(
    api: Api,
    order: Order,
    folder: Path,
    manifest: Manifest,
    plan: Plan,
    private: ec.EllipticCurvePrivateKey | None,
    output: Output,
) -> None:
    """Steps 2 to 4; without a key the push ends after the inspection."""
    sent = _send(api, folder, manifest, plan, order.wait, output)
    revision = _commit(api, manifest, plan, order)
    output.line(f"Revision {revision['id']}: inspection {revision['state']}")
    told = {"manifest": manifest.digest, "revision": revision["id"], "plan": plan.to_dict()}
    if private is None:
        output.line(f"Pushed to {order.model}; nothing is released", style="bold green")
        output.json(verdict="pushed", sent=sent, **told)
        return
    made = _release(api, order, revision, manifest, private, output)
    key_id = public_key_of(private.public_key()).fingerprint
    output.json(verdict="released", sent=sent, key=key_id, release=made, **told)


def _release(
    api: Api,
    order: Order,
    revision: dict[str, Any],
    manifest: Manifest,
    private: ec.EllipticCurvePrivateKey,
    output: Output,
) -> dict[str, Any]:
    """Release the revision unless it is released."""
    if revision.get("release"):
        address = f"{model_path(order.model)}/releases/{part_of(str(revision['release']))}"
        made: dict[str, Any] = api.get(address)
        output.line(f"Nothing to do: this is {order.model} {made['version']}", style="bold green")
        return made
    offered = propose(api, order.model, revision["id"], manifest, output)
    made = release(api, offered, order.version or offered.next_version, order.notes, private)
    output.line(f"Released {made['model']} {made['version']}", style="bold green")
    return made


def _plan(api: Api, path: str, found: Any, manifest: Manifest) -> Plan:
    head = None if found is None else found["head"]
    before: dict[str, str] = {}
    if head:
        revision = api.get(f"{path}/revisions/{part_of(head)}")
        before = {item["path"]: item["sha256"] for item in revision["files"]}
    now = {item.name: item.sha256 for item in manifest.resources}
    return Plan(
        head=head,
        added=tuple(name for name in now if name not in before),
        changed=tuple(name for name in now if before.get(name, now[name]) != now[name]),
        removed=tuple(sorted(name for name in before if name not in now)),
        send=tuple(name for name, sha256 in now.items() if sha256 not in before.values()),
    )


def _tell(plan: Plan, output: Output) -> None:
    for words, names in (("new", plan.added), ("changed", plan.changed), ("gone", plan.removed)):
        for name in names:
            output.line(f"  {words:<8} {name}")
    if plan.nothing:
        output.line("  the newest revision is this folder")


def _send(api: Api, folder: Path, manifest: Manifest, plan: Plan, wait: int, output: Output) -> int:
    sent, digests = 0, {item.name: item.sha256 for item in manifest.resources}
    for name in plan.send:
        told = partial(_progress, output, name)
        sent += send_file(api, folder / name, digests[name], patience_s=wait, told=told)
    return sent


def _progress(output: Output, name: str, there: int, size: int) -> None:
    output.line(f"  {name}: {there:,} of {size:,} bytes", "dim")


def _commit(api: Api, manifest: Manifest, plan: Plan, order: Order) -> dict[str, Any]:
    """Make the revision, unless the newest one is this tree, and return it inspected."""
    path, revision = model_path(order.model), plan.head
    if not plan.nothing:
        files = [{"path": item.name, "sha256": item.sha256} for item in manifest.resources]
        body = {"files": files, "parent": plan.head, "message": order.message}
        revision = api.post(f"{path}/revisions", body)["id"]
    address = f"{path}/revisions/{part_of(str(revision))}"
    return wait_inspected(api, address, patience_s=order.wait)
