"""`assay audit`: draw executions of a log by lot, run them again, sign what was found.

What a look at the log is, is in `audit_round`; what one execution takes, in `audit_work`; what is
kept and in which order, in `audit_journal`. Here: the options.

| exit code | meaning |
|---|---|
| 0 | all that was drawn is exact |
| 1 | an execution diverged, a receipt is not what was signed, or the log lied |
| 2 | usage |
| 3 | something could not be checked, or a statement was not taken |
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric import ec

from assay.cli.api import RefusedError
from assay.cli.audit_journal import EVIDENCE, Journal, locked
from assay.cli.audit_round import Looker, Wish
from assay.cli.audit_run import Auditing, Parts
from assay.cli.audit_site import Site
from assay.cli.audit_work import Means, Worker
from assay.cli.given import RuntimeOption
from assay.cli.keyfile import PassphraseOption, load_key
from assay.cli.known import OriginOption, origin_at, task_for
from assay.cli.monitor import IntervalOption, LinesOption, RetriesOption, StateOption
from assay.cli.output import Output, exit_codes
from assay.cli.remember import FileMemory
from assay.cli.rounds import Task
from assay.cli.settings import monitor_folder, node_binary, trust_folder
from assay.cli.telling import Voice
from assay.cli.tokens import TokenOption, reading_api
from assay.cli.trust import Named, NotPinnedError, load_trust
from assay.cli.verify import PolicyOption, RootOption
from assay.dsse import public_key_of
from assay.errors import FormatError, MisuseError
from assay.replay import find_node
from assay.told import Told, until_told

_LOG_MOUNT = "/log"
_SAMPLE = 100
_REGISTER = "register it: assay key register --role auditor, and use that key"


SiteArgument = Annotated[str, typer.Argument(help="The registry, as https://models.example.org.")]
SampleOption = Annotated[
    int | None, typer.Option(min=1, help="How many to draw by lot in a round; default 100.")
]
AllOption = Annotated[bool, typer.Option("--all", help="Replay every execution.")]
SinceOption = Annotated[
    int | None, typer.Option(min=0, help="Begin at this entry; default: behind the last audit.")
]
FollowOption = Annotated[bool, typer.Option("--follow", help="Go on with what comes.")]
AuditorOption = Annotated[
    Path | None,
    typer.Option(help="Your auditor's private key, PKCS#8 PEM: signs what is found."),
]
KeepOption = Annotated[
    bool, typer.Option("--no-submit", help="Keep the signed statements, and send none.")
]


def audit(
    url: SiteArgument,
    *,
    sample: SampleOption = None,
    whole: AllOption = False,
    since: SinceOption = None,
    follow: FollowOption = False,
    interval: IntervalOption = 60.0,
    retries: RetriesOption = 3,
    key: AuditorOption = None,
    passphrase_file: PassphraseOption = None,
    no_submit: KeepOption = False,
    runtime: RuntimeOption = None,
    state: StateOption = None,
    origin: OriginOption = "",
    trusted_root: RootOption = None,
    policy: PolicyOption = None,
    token_file: TokenOption = None,
    as_json: LinesOption = False,
) -> None:
    """Replay by lot, and sign. Exit code: 0 all exact, 1 diverged or lied, 2 usage, 3 unchecked."""
    output = Output(as_json=as_json)
    with exit_codes(output), until_told() as stop, ExitStack() as closing:
        asked = Asked(
            url=url,
            origin=origin,
            named=Named(trusted_root=trusted_root, policy=policy),
            key=None if key is None else load_key(key, passphrase_file),
            submit=key is not None and not no_submit,
            runtime=runtime,
            state=state,
            token_file=token_file,
        )
        wish = Wish(sample=_sample(sample, whole=whole), since=since)
        parts = _parts(asked, output, stop, closing)
        code = Auditing(parts, wish, retries).go_on(interval if follow else None)
    raise typer.Exit(code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the options say about where and with what."""

    url: str
    origin: str
    named: Named
    key: ec.EllipticCurvePrivateKey | None
    submit: bool
    runtime: Path | None
    state: Path | None
    token_file: Path | None


def _sample(sample: int | None, *, whole: bool) -> int | None:
    if whole and sample is not None:
        raise MisuseError("--all replays every execution, --sample some: choose one")
    return None if whole else sample or _SAMPLE


def _parts(asked: Asked, output: Output, stop: Told, closing: ExitStack) -> Parts:
    """Return what the audit is made of; what has to be closed goes to `closing`.

    Raises:
        MisuseError: nothing is pinned, or the key is no registered auditor's.
        UnavailableError: no Node, no answer, or another audit in this folder.
    """
    base = asked.url.rstrip("/").removesuffix(_LOG_MOUNT)
    origin = asked.origin or origin_at(asked.url)
    task = task_for(asked.url, origin, "", asked.named)
    try:
        trust = load_trust(origin, asked.named)
    except NotPinnedError as error:
        raise MisuseError(f"{error}; the log is taken to be {origin}") from error
    node = find_node(node_binary())
    site = closing.enter_context(Site(reading_api(base, asked.token_file)))
    if asked.submit and asked.key is not None:
        _check_key(site, asked.key)
    folder = asked.state or trust_folder(origin) / "audit"
    closing.enter_context(locked(folder))
    journal = Journal(folder, origin)
    voice = Voice(output, task, folder / EVIDENCE)
    means = Means(trust=trust, node=node, runtime=asked.runtime, key=asked.key)
    worker = Worker(site, means, journal, stop)
    closing.callback(worker.close)
    return Parts(
        task=task,
        looker=_looker(task, folder, voice, stop),
        journal=journal,
        site=site,
        worker=worker,
        output=output,
        voice=voice,
        stop=stop,
        submit=asked.submit,
    )


def _looker(task: Task, folder: Path, voice: Voice, stop: Told) -> Looker:
    return Looker(
        task,
        FileMemory(folder, task.origin, task.log),
        FileMemory(monitor_folder(task.origin), task.origin, task.log),
        stopped=stop.is_set,
        first_contact=voice.first_contact,
    )


def _check_key(site: Site, key: ec.EllipticCurvePrivateKey) -> None:
    fingerprint = public_key_of(key.public_key()).fingerprint
    try:
        site.check_auditor(fingerprint)
    except (RefusedError, FormatError) as error:
        raise MisuseError(f"the key {fingerprint}: {error}; {_REGISTER}") from error
