"""`assay monitor`: follow a log for as long as it lives; `assay split-view`: check the evidence.

What a round does is in `rounds`, what lasts in `remember`, what is said in `telling`. Here: the
options, the pauses, and the exit code.

| exit code | meaning |
|---|---|
| 0 | nothing wrong |
| 1 | the log lied: split view, rollback, bad entry, something withheld |
| 2 | usage |
| 3 | could not check: no answer; a view that is ahead; no quorum where one was asked for |

Silence is asked again, and so is an absence or a rollback, since a cache may be behind for a
moment: `--retries` times, after 1, 2, 4, … seconds. A fork is not: two signatures do not go away.
Silence never becomes an accusation, however long it lasts, but the entries behind it stay
unchecked, and that is said.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from assay.checkpoint import check_origin, is_origin
from assay.cli.files import read_file
from assay.cli.output import REFUSED, UNCHECKED, VERIFIED, Output, exit_codes
from assay.cli.remember import FileMemory, LostStateError
from assay.cli.rounds import Follower, RollbackError, Start, StoppedError, Task
from assay.cli.settings import monitor_folder
from assay.cli.source import open_source
from assay.cli.telling import Voice
from assay.cli.trust import Named, NotPinnedError, load_policy, load_root, origin_of
from assay.cli.verify import JsonOption, PolicyOption, RootOption
from assay.digests import is_sha256, sha256_hex
from assay.errors import (
    AssayError,
    FormatError,
    MissingError,
    MisuseError,
    UnavailableError,
    VerificationError,
)
from assay.fetch import check_url
from assay.limits import LIMITS
from assay.monitor import Watch
from assay.note import VKey
from assay.policy import TrustedRoot
from assay.splitview import SplitView, check_split_view, parse_split_view
from assay.statements.fields import model as check_model
from assay.told import until_told

UrlArgument = Annotated[
    str, typer.Argument(help="The log: an http(s) URL, or the folder of a copy.")
]
OriginOption = Annotated[
    str, typer.Option(help="Name of the log, where the URL's host is not: a mirror.")
]
KeysOption = Annotated[
    list[str] | None, typer.Option("--key", help="Watch this key: a fingerprint. Repeatable.")
]
ModelsOption = Annotated[
    list[str] | None, typer.Option("--model", help="Watch this model: owner/name. Repeatable.")
]
OwnersOption = Annotated[
    list[str] | None,
    typer.Option("--owner", help="Watch this owner's models and keys. Repeatable."),
]
CompareOption = Annotated[
    list[str] | None,
    typer.Option("--compare", help="Another view: URL or file of a checkpoint. Repeatable."),
]
WitnessesOption = Annotated[
    list[str] | None,
    typer.Option("--witness-url", help="A witness to compare with: its address. Repeatable."),
]
OnceOption = Annotated[bool, typer.Option("--once", help="Do one round and end.")]
IntervalOption = Annotated[float, typer.Option(min=0.1, help="Seconds between two rounds.")]
RetriesOption = Annotated[
    int, typer.Option(min=0, max=10, help="How often to ask again, after 1, 2, 4, … seconds.")
]
FromStartOption = Annotated[
    bool, typer.Option("--from-start", help="Check every entry again, in the first round.")
]
SkipOption = Annotated[
    bool, typer.Option("--skip-history", help="Do not check the entries of the first round's tree.")
]
QuorumOption = Annotated[
    bool,
    typer.Option("--require-quorum", help="A tree without the policy's quorum is exit code 3."),
]
StateOption = Annotated[
    Path | None, typer.Option(help="Folder that remembers; default: beside the pinned files.")
]
EvidenceOption = Annotated[
    Path | None, typer.Option(help="Folder for evidence; default: `evidence` in the one above.")
]
LinesOption = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]


def monitor(
    url: UrlArgument,
    *,
    key: KeysOption = None,
    model: ModelsOption = None,
    owner: OwnersOption = None,
    compare: CompareOption = None,
    witness_url: WitnessesOption = None,
    once: OnceOption = False,
    interval: IntervalOption = 60.0,
    retries: RetriesOption = 3,
    from_start: FromStartOption = False,
    skip_history: SkipOption = False,
    require_quorum: QuorumOption = False,
    origin: OriginOption = "",
    trusted_root: RootOption = None,
    policy: PolicyOption = None,
    state: StateOption = None,
    evidence: EvidenceOption = None,
    as_json: LinesOption = False,
) -> None:
    """Follow a log. Exit code: 0 nothing wrong, 1 the log lied, 2 usage, 3 could not check."""
    output = Output(as_json=as_json)
    with exit_codes(output), until_told() as stop:
        task = replace(
            _task(url, origin, Named(trusted_root=trusted_root, policy=policy)),
            watch=_watch(key or [], model or [], owner or []),
            require_quorum=require_quorum,
        )
        task = replace(task, views=_views(task.origin, compare or [], witness_url or []))
        folder = state or monitor_folder(task.origin)
        voice = Voice(output, task, evidence or folder / "evidence")
        follower = Follower(
            task,
            FileMemory(folder, task.origin, task.log),
            voice,
            stopped=stop.is_set,
            start=_start(from_start=from_start, skip_history=skip_history),
        )
        code = go_on(follower, voice, stop, retries, None if once else interval)
    raise typer.Exit(code)


def _task(where: str, origin: str, named: Named) -> Task:
    """Return the task of following the log at `where`, which nobody watches for anything yet."""
    origin = check_origin(origin) if origin else _origin_at(where)
    try:
        root, policy = load_root(origin, named), load_policy(origin, named)
    except NotPinnedError as error:
        hint = f"the log is taken to be {origin}: --origin names another"
        raise MisuseError(f"{error}; {hint}") from error
    log = _key_in(root, origin)
    if policy.logs and log not in [known.vkey for known in policy.logs]:
        raise MisuseError(f"the policy does not name the log {log}")
    return Task(where=where, origin=origin, log=log, policy=policy, watch=Watch())


def _origin_at(where: str) -> str:
    """Return the origin to expect: the host's name, so that no host can pass off another log."""
    if not where.startswith(("http://", "https://")):
        with open_source(where) as place:
            return origin_of(place.checkpoint())
    host = urlsplit(check_url(where)).hostname or ""
    if not is_origin(host):
        raise MisuseError(f"{host!r} names no log: give its name by --origin")
    return host


def _key_in(root: TrustedRoot, origin: str) -> VKey:
    for log in root.logs:
        if log.origin == origin:
            return log.vkey
    raise MisuseError(f"the trusted root does not name the log {origin}")


def _watch(keys: list[str], models: list[str], owners: list[str]) -> Watch:
    """Return the watch; a name that nothing can have is misuse, since it would never be found."""
    for key in keys:
        if not is_sha256(key):
            raise MisuseError(f"--key {key!r}: a fingerprint is 64 lower-case hex digits")
    for model in models:
        try:
            check_model(model, "--model")
        except FormatError as error:
            raise MisuseError(str(error)) from error
    for owner in owners:
        if not owner or "/" in owner:
            raise MisuseError(f"--owner {owner!r}: the part of a model's name before the slash")
    return Watch(keys=frozenset(keys), models=frozenset(models), owners=frozenset(owners))


def _views(origin: str, notes: list[str], witnesses: list[str]) -> tuple[str, ...]:
    """Return where to find other views; a witness shows its own under the hash of the origin."""
    name = sha256_hex(origin.encode())
    return (*notes, *(f"{witness.rstrip('/')}/{name}/checkpoint" for witness in witnesses))


def _start(*, from_start: bool, skip_history: bool) -> Start:
    if from_start and skip_history:
        raise MisuseError("--from-start checks every entry, --skip-history none: choose one")
    if from_start:
        return Start.BEGINNING
    return Start.PRESENT if skip_history else Start.RESUME


def go_on(
    follower: Follower,
    voice: Voice,
    stop: threading.Event,
    retries: int,
    interval: float | None,
) -> int:
    """Look again and again, or once without an interval; return the exit code."""
    lied = False
    while True:
        try:
            code = _round(follower, voice, stop, retries)
        except StoppedError:
            code = UNCHECKED if interval is None else VERIFIED
        lied = lied or code == REFUSED
        if interval is None or stop.wait(interval):
            return REFUSED if lied else code


def _round(follower: Follower, voice: Voice, stop: threading.Event, retries: int) -> int:
    """Do one round, say what it found and return its exit code."""
    try:
        doubts = look_patiently(follower, stop, retries)
    except LostStateError:
        raise
    except (MissingError, FormatError, VerificationError) as error:
        voice.alarm(error)
        return REFUSED
    except UnavailableError as error:
        doubts = [str(error)]
    for doubt in doubts:
        voice.doubt(doubt)
    if doubts:
        return UNCHECKED
    voice.clean()
    return VERIFIED


def look_patiently(follower: Follower, stop: threading.Event, retries: int) -> list[str]:
    """Look, and look again after a pause at what may be behind or on its way for a moment."""
    pause_s = 1.0
    while True:
        wrong: AssayError | None = None
        doubts: list[str] = []
        try:
            doubts = follower.look()
        except LostStateError:
            raise
        except (UnavailableError, RollbackError) as error:
            wrong = error
        if wrong is None and not doubts:
            return []
        if not retries:
            if wrong is not None:
                raise wrong
            return doubts
        if stop.wait(pause_s):
            raise StoppedError
        retries, pause_s = retries - 1, pause_s * 2


def split_view(
    file: Annotated[Path, typer.Argument(help="The evidence: split-view-….json.")],
    *,
    vkey: Annotated[str, typer.Option(help="Key of the log; default: the trusted log's.")] = "",
    trusted_root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check evidence that a log forked. Exit code: 0 it did, 1 refused, 2 usage, 3 unreadable."""
    output = Output(as_json=as_json)
    with exit_codes(output):
        shown = parse_split_view(read_file(file, LIMITS.bundle))
        log = _accused(shown, vkey, Named(trusted_root=trusted_root))
        told = check_split_view(shown, log)
        output.line("Split view", style="bold red")
        output.line(f"  {told}")
        output.line(f"  signed by {log}")
        output.line("  Both cannot be one log: whoever saw one tree was not shown the other.")
        output.json(verdict="split view", reason=told, log=str(log))


def _accused(shown: SplitView, vkey: str, named: Named) -> VKey:
    if vkey:
        try:
            return VKey.parse(vkey)
        except FormatError as error:
            raise MisuseError(f"--vkey: {error}") from error
    origin = origin_of(shown.first)
    return _key_in(load_root(origin, named), origin)
