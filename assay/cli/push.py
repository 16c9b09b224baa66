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

from assay.cli.api import Api, part_of
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
        if create not in ("", "public", "private"):
            raise MisuseError("--create is public or private")
        if len(notes) > MAX_NOTES or len(message) > MAX_MESSAGE:
            raise MisuseError(f"notes have at most {MAX_NOTES} characters, a message {MAX_MESSAGE}")
        private = None if key is None else load_key(key, passphrase_file)  # before all the work
        path = model_path(model)
        manifest = read_folder(folder)
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
            owner, _, name = model.partition("/")
            api.post("models", {"owner": owner, "name": name, "visibility": create})
        sent = _send(api, folder, manifest, plan, wait, output)
        revision = _commit(api, path, manifest, plan, message, wait)
        output.line(f"Revision {revision['id']}: inspection {revision['state']}")
        told: dict[str, Any] = {"revision": revision["id"], "sent": sent, "plan": plan.to_dict()}
        if private is None:
            output.line(f"Pushed to {model}; nothing is released", style="bold green")
            output.json(verdict="pushed", manifest=manifest.digest, **told)
            return
        if revision.get("release"):
            made = api.get(f"{path}/releases/{part_of(str(revision['release']))}")
            output.line(f"Nothing to do: this is {model} {made['version']}", style="bold green")
        else:
            offered = propose(api, model, revision["id"], manifest, output)
            made = release(api, offered, version or offered.next_version, notes, private)
            output.line(f"Released {made['model']} {made['version']}", style="bold green")
        fingerprint = public_key_of(private.public_key()).fingerprint
        output.json(
            verdict="released", manifest=manifest.digest, key=fingerprint, release=made, **told
        )


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


def _commit(
    api: Api, path: str, manifest: Manifest, plan: Plan, message: str, wait: int
) -> dict[str, Any]:
    """Make the revision, unless the newest one is this tree, and return it inspected."""
    revision = plan.head
    if not plan.nothing:
        files = [{"path": item.name, "sha256": item.sha256} for item in manifest.resources]
        body = {"files": files, "parent": plan.head, "message": message}
        revision = api.post(f"{path}/revisions", body)["id"]
    address = f"{path}/revisions/{part_of(str(revision))}"
    return wait_inspected(api, address, patience_s=wait)
