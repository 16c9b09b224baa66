"""Who is next when no process is free: parties in turn, whatever one of them sends."""

from __future__ import annotations

import threading

import pytest

from assay.dsse import parse_compact
from assay.receipt import execution_of
from assay.statements import parse_statement
from inference.client import ExecutorError
from inference.executor.limits import WAITING_PER_SLOT
from inference.executor.lobby import Lobby, Ticket
from inference.executor.protocol import Frame, RefusalError, connect, send
from tests.inference.executor.models import Revision, constant, endless, floats, model, node, value
from tests.inference.executor.running import Running, start_supervisor, wait_until


def ticket(party: str) -> Ticket:
    return Ticket(party=party, key="model")


def take(lobby: Lobby) -> Ticket:
    """Serve whoever is next."""
    ticket = lobby.order()[0]
    lobby.take(ticket)
    return ticket


def parties(lobby: Lobby) -> list[str]:
    return [take(lobby).party for _ in range(len(lobby))]


def test_parties_are_served_in_turn_and_each_in_its_order() -> None:
    lobby = Lobby(9)
    for party in ("mallory", "mallory", "mallory", "alice", "bob", "alice"):
        lobby.join(ticket(party))
    assert parties(lobby) == ["mallory", "alice", "bob", "mallory", "alice", "mallory"]
    assert len(lobby) == 0
    own = [ticket("alice"), ticket("alice")]
    for one in own:
        lobby.join(one)
    assert [take(lobby), take(lobby)] == own


def test_a_party_that_is_alone_may_use_every_place_and_no_more() -> None:
    lobby = Lobby(4)
    for _ in range(4):
        lobby.join(ticket("mallory"))
    with pytest.raises(RefusalError, match="too many requests are waiting") as caught:
        lobby.join(ticket("mallory"))
    assert (caught.value.code, caught.value.retry) == ("busy", True)


def test_alice_finds_a_place_in_mallorys_full_lobby_and_the_newest_leaves() -> None:
    lobby = Lobby(4)
    flood = [ticket("mallory") for _ in range(4)]
    for one in flood:
        lobby.join(one)
    lobby.join(ticket("alice"))
    assert [one.called.is_set() for one in flood] == [False, False, False, True]
    assert flood[3].host is None
    assert parties(lobby) == ["mallory", "alice", "mallory", "mallory"]


def test_nobody_takes_more_than_a_share_while_others_wait() -> None:
    lobby = Lobby(6)
    lobby.join(ticket("alice"))
    for _ in range(3):
        lobby.join(ticket("mallory"))
    with pytest.raises(RefusalError, match="you have your share"):
        lobby.join(ticket("mallory"))
    lobby.join(ticket("alice"))
    assert len(lobby) == 5


def test_where_everybody_has_a_share_a_newcomer_comes_back_later() -> None:
    lobby = Lobby(2)
    lobby.join(ticket("alice"))
    lobby.join(ticket("bob"))
    with pytest.raises(RefusalError, match="too many"):
        lobby.join(ticket("mallory"))
    assert parties(lobby) == ["alice", "bob"]


def test_who_was_next_already_is_next_again() -> None:
    lobby = Lobby(4)
    lobby.join(ticket("mallory"))
    again = ticket("alice")
    lobby.rejoin(again)
    assert lobby.order()[0] is again
    assert parties(lobby) == ["alice", "mallory"]
    assert lobby.order() == []


def test_who_waits_for_an_empty_process_keeps_nobody_behind_waiting() -> None:
    lobby = Lobby(4)
    first, second = ticket("mallory"), ticket("alice")
    lobby.join(first)
    lobby.join(second)
    lobby.take(second)
    assert lobby.order() == [first]


def test_who_leaves_is_not_called() -> None:
    lobby = Lobby(4)
    first, second, again = ticket("alice"), ticket("alice"), ticket("bob")
    lobby.join(first)
    lobby.join(second)
    lobby.rejoin(again)
    for one in (first, again, again):
        lobby.leave(one)
    assert take(lobby) is second
    assert len(lobby) == 0
    lobby.leave(second)


def plus(number: int) -> Revision:
    """A model of its own for each request: each load takes longer than a tick of the clock."""
    nodes = [node("Add", ["x", "w"], ["y"])]
    weights = [constant("w", [number])]
    graph = model(nodes, [value("x")], [value("y")], weights).SerializeToString()
    return Revision.of(bytes(graph))


class Asker(threading.Thread):
    """One request of one party; `started` is when it ran, `code` why it did not."""

    def __init__(self, running: Running, party: str, number: int) -> None:
        super().__init__()
        self.party, self.code, self.started = party, "", ""
        self._running, self._number = running, number

    def run(self) -> None:
        revision = plus(self._number)
        asked = revision.request(
            self._running.log.checkpoint(), floats("x", 1), slot_wait_s=60, party=self.party
        )
        try:
            answer = self._running.client().infer(asked, revision.read)
        except ExecutorError as error:
            self.code = error.code
        else:
            statement = parse_statement(parse_compact(answer.envelope).payload)
            self.started = execution_of(statement).started_on


def test_mallory_floods_and_alice_is_the_next_but_one() -> None:
    running = start_supervisor(arguments=["--slots", "1"])
    client, bad = running.client(), Revision.of(endless())
    client.load(bad.target, bad.read)
    held = connect(running.socket)
    note = running.log.checkpoint()
    asked = bad.request(note, floats("x", 1), deadline_s=120, party="mallory")
    send(held, Frame(header=asked.header(), tail=asked.inputs[0].data))
    wait_until(lambda: client.status().free == 0)

    def waiting() -> int:
        return client.status().kinds["portable"]["waiting"]

    flood = [Asker(running, "mallory", number) for number in range(WAITING_PER_SLOT)]
    for number, asker in enumerate(flood):
        asker.start()
        wait_until(lambda number=number: waiting() == number + 1)
    alice = Asker(running, "alice", WAITING_PER_SLOT)
    alice.start()
    flood[-1].join()  # alice took the place of mallory's newest
    assert waiting() == WAITING_PER_SLOT
    held.close()  # the endless run is stopped: whoever waits is served now
    for asker in (*flood, alice):
        asker.join()
    assert [asker.code for asker in flood] == [""] * (WAITING_PER_SLOT - 1) + ["busy"]
    served = sorted((asker.started, asker.party) for asker in (*flood[:-1], alice))
    assert [party for _, party in served[:3]] == ["mallory", "alice", "mallory"]
    assert client.status().counters["failures"] == {"busy": 1}
    running.stop()


def test_who_hangs_up_while_waiting_leaves_the_lobby_and_costs_no_warm_model() -> None:
    running = start_supervisor(arguments=["--slots", "1"])
    client, bad, good = running.client(), Revision.of(endless()), plus(1)
    client.load(bad.target, bad.read)
    client.load(good.target, good.read)
    note = running.log.checkpoint()
    runs, waits = connect(running.socket), connect(running.socket)
    long = bad.request(note, floats("x", 1), deadline_s=120)
    send(runs, Frame(header=long.header(), tail=long.inputs[0].data))
    wait_until(lambda: client.status().free == 0)
    short = good.request(note, floats("x", 1), slot_wait_s=100)
    send(waits, Frame(header=short.header(), tail=short.inputs[0].data))
    wait_until(lambda: client.status().kinds["portable"]["waiting"] == 1)
    waits.close()
    wait_until(lambda: client.status().kinds["portable"]["waiting"] == 0)
    runs.close()
    assert not client.infer(short, good.read).cold
    running.stop()
