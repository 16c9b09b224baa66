"""Faults from outside: what happens to processes, messages and answers in the middle of a load."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import cast

from tests.kill.load import SYNC, ask, call, single
from tests.kill.mend import UNQUIET
from tests.kill.receiver import receiver
from tests.kill.site import Site

LANE = "executions"
WORKERS = ("worker-1", "worker-2")
FLUSHES, COPIES, EXTRA, LOST = 5, 3, 4, 3


class Promise(Enum):
    """What the callers may notice."""

    NOTHING = "all are answered"
    AGAIN = "all are answered; the message comes twice, under one `webhook-id`"
    ERRORS = "who was answered finds the answer; who was not may have got an error"

    def __str__(self) -> str:
        return self.value


DELIVERY_OVER = """UPDATE inference_delivery
    SET lease_until = clock_timestamp() - interval '1 s', due_at = clock_timestamp()
    WHERE state = 'waiting'"""
REPLAY_OVER = """UPDATE inference_replay
    SET lease_until = clock_timestamp() - interval '1 s'
    WHERE state = 'running' AND lease_until < clock_timestamp() + interval '25 s'"""
REPLAYED = "SELECT verdict FROM inference_replay WHERE execution_id = %s AND state = 'done'"
UNDELIVERED = "SELECT id FROM inference_delivery WHERE state <> 'delivered'"
Wait = Callable[[], object]  # returns when every request of the load has ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What `act` does to a site while a load is under way."""

    words: str
    promise: Promise
    act: Callable[[Site, Wait], None]
    point: str = ""  # where it happens, if the product names the place

    @property
    def name(self) -> str:
        """Its name in the report of a test run."""
        return self.act.__name__.replace("_", "-")


def sequencer_killed_as_the_head_moves(site: Site, wait: Wait) -> None:
    """Kill it right after its commit point, before any file."""
    size = site.rows("SELECT size FROM ledger_log")
    site.until(lambda: site.rows("SELECT size FROM ledger_log") != size, "the head moves")
    site.kill("sequencer")


def sequencer_killed_as_a_tile_appears(site: Site, wait: Wait) -> None:
    """Kill it while it writes the tiles."""
    before = _tiles(site)
    site.until(lambda: _tiles(site) != before, "a tile appears")
    site.kill("sequencer")


def sequencer_killed_as_the_checkpoint_changes(site: Site, wait: Wait) -> None:
    """Kill it when readers see the new checkpoint."""
    path = site.data / "log" / "checkpoint"
    before = path.read_bytes()
    site.until(lambda: path.read_bytes() != before, "the checkpoint changes")
    site.kill("sequencer")


def _tiles(site: Site) -> set[str]:
    return {str(path) for path in (site.data / "log" / "tile").rglob("*")}


def beat_killed(site: Site, wait: Wait) -> None:
    """Kill beat."""
    site.kill("beat")


def two_beats(site: Site, wait: Wait) -> None:
    """Let two beats call two sweeps each time, with something to sweep."""
    site.arm("worker", "worker-after-claim", "kill")
    with site.also("beat-2", site.beat("beat-2")):
        site.until(lambda: site.fired("worker", "worker-after-claim"), "a worker ends")
        wait()
        site.until(lambda: not site.rows(UNQUIET[0]), "all have ended")


def redis_flushed(site: Site, wait: Wait) -> None:
    """Empty the broker again and again."""
    client = site.redis_client()
    for _ in range(FLUSHES):
        client.flushall()
        site.pause()
    client.close()


def redis_killed(site: Site, wait: Wait) -> None:
    """Kill the broker, which keeps nothing on disk."""
    site.kill("redis")


@contextmanager
def frozen(site: Site) -> Iterator[None]:
    """Freeze both workers for the length of a block."""
    for name in WORKERS:
        site.kill(name, signal.SIGSTOP)
    try:
        yield
    finally:
        for name in WORKERS:
            site.kill(name, signal.SIGCONT)


def _take_messages(site: Site) -> list[bytes]:
    """Return the wake-ups that lie in the broker, and leave none there."""
    for _ in range(EXTRA):
        site.send("drain", LANE)
    client = site.redis_client()
    messages = cast("list[bytes]", client.lrange(LANE, 0, -1))
    client.delete(LANE)
    client.close()
    assert messages
    return messages


def _give_messages(site: Site, messages: list[bytes]) -> None:
    client = site.redis_client()
    for message in messages:
        client.lpush(LANE, message)
    site.until(lambda: client.llen(LANE) == 0, "the wake-ups are taken")
    client.close()


def messages_tripled_and_reversed(site: Site, wait: Wait) -> None:
    """Deliver every wake-up three times, the last one first."""
    with frozen(site):
        wait()
        messages = _take_messages(site)[::-1]
    _give_messages(site, [message for message in messages for _ in range(COPIES)])


def messages_delayed(site: Site, wait: Wait) -> None:
    """Deliver every wake-up when all that it was about has ended."""
    with frozen(site):
        wait()
        messages = _take_messages(site)
    site.until(lambda: not site.rows(UNQUIET[0]), "all have ended without them")
    _give_messages(site, messages)


def postgresql_stopped_at_once(site: Site, wait: Wait) -> None:
    """Let PostgreSQL stop without a checkpoint, and recover."""
    site.kill("postgresql", signal.SIGQUIT)


def commit_answers_lost(site: Site, wait: Wait) -> None:
    """Cut off whoever waits for the answer to a COMMIT that happens."""
    site.relay.lose(LOST)
    wait()
    site.until(lambda: not site.rows(UNQUIET[0]), "all have ended")
    assert site.relay.lose(0) > 0, "no answer was lost"


def webhook_answered_and_not_noted(site: Site, wait: Wait) -> None:
    """Kill a worker that sent a message, before it writes down that it did."""
    with receiver() as (url, received):
        made = json.loads(call(site, "POST", "/api/v1/webhooks", _json(url=url))[1])
        site.arm("worker", "webhook-after-post", "kill")
        call(site, "POST", f"{made['address']}/test")
        site.until(lambda: site.fired("worker", "webhook-after-post"), "a worker ends")
        assert len(received) == 1
        site.rows(DELIVERY_OVER)
        site.until(lambda: _delivered(site), "the message is sent again")
        assert len(received) == 2
        assert len(set(received)) == 1, f"another id: {received}"


def _json(**fields: str) -> bytes:
    return json.dumps(fields).encode()


def _delivered(site: Site) -> bool:
    site.send("deliver", "housekeeping")
    return site.rows(UNDELIVERED) == []


def _auditor_killed(site: Site, point: str) -> None:
    """Ask for a replay, and kill the auditor at a point; another one takes its turn over."""
    (execution,) = ask(site, single(SYNC)).executions
    site.arm("auditor", point, "kill")
    with site.also("auditor", site.manage("auditor")):
        status, body = call(site, "POST", f"/api/v1/executions/{execution}/replay")
        assert status == 202, body
        site.until(lambda: site.fired("auditor", point), "an auditor ends")
        site.until(lambda: _replayed(site, execution), "it is replayed")


def _replayed(site: Site, execution: str) -> bool:
    site.rows(REPLAY_OVER)
    return site.rows(REPLAYED, execution) == [("exact",)]


def auditor_killed_before_commit(site: Site, wait: Wait) -> None:
    """Kill it when a replay has run and nothing is written."""
    _auditor_killed(site, "auditor-before-commit")


def auditor_killed_after_commit(site: Site, wait: Wait) -> None:
    """Kill it when what it found is logged."""
    _auditor_killed(site, "auditor-after-commit")


def executor_killed(site: Site, wait: Wait) -> None:
    """Kill the supervisor of the models."""
    site.kill("executor")


def power_cut(site: Site, wait: Wait) -> None:
    """Kill every process at once."""
    for name in list(site.programs):
        site.kill_group(name)


_N, _E = Promise.NOTHING, Promise.ERRORS
_OF_SEQUENCER = (
    ("the head moves in the database", sequencer_killed_as_the_head_moves),
    ("a tile appears", sequencer_killed_as_a_tile_appears),
    ("the checkpoint changes", sequencer_killed_as_the_checkpoint_changes),
)
_OTHERS = (
    ("beat is killed", _N, beat_killed),
    ("two beats run, and a worker is killed with what it claimed", _N, two_beats),
    ("the broker is emptied five times (`FLUSHALL`)", _N, redis_flushed),
    ("the broker is killed", _N, redis_killed),
    ("every wake-up comes three times, the last one first", _N, messages_tripled_and_reversed),
    ("every wake-up comes when all has ended", _N, messages_delayed),
    ("the answers to some COMMITs are lost", _N, commit_answers_lost),
    ("PostgreSQL stops at once (SIGQUIT)", _E, postgresql_stopped_at_once),
    ("the executor is killed", _E, executor_killed),
    ("every process is killed at once", _E, power_cut),
)
FAULTS = (
    *(
        Fault(words=f"the sequencer is killed as {words}", promise=_N, act=act)
        for words, act in _OF_SEQUENCER
    ),
    *(Fault(words=words, promise=promise, act=act) for words, promise, act in _OTHERS),
    *(
        Fault(
            words=f"the auditor is killed {words}",
            promise=_N,
            act=act,
            point=f"auditor-{act.__name__.removeprefix('auditor_killed_').replace('_', '-')}",
        )
        for words, act in (
            ("when a replay has run and nothing is written", auditor_killed_before_commit),
            ("when what it found is logged", auditor_killed_after_commit),
        )
    ),
    Fault(
        words="a worker is killed that sent a webhook's message and has not noted it",
        promise=Promise.AGAIN,
        act=webhook_answered_and_not_noted,
        point="webhook-after-post",
    ),
)
