"""Who waits for a model process, and who is next: parties in turn, each party's requests in order.

Rules
1. At most `limit` requests wait; one more is told to come back.
2. When several parties wait, each may have `limit / parties` waiting, and one at least.
3. A newcomer below its share finds a place in a full lobby: the newest request of the party that
   has most above its share leaves instead.
4. A party that was served goes to the end of the round.

With alice beside mallory's flood: mallory, **alice**, mallory, mallory … Nobody starves, however
much another one sends; a party that is alone may use everything.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from itertools import zip_longest

from inference.executor.hosts import Host
from inference.executor.protocol import RefusalError


@dataclass(slots=True, kw_only=True, eq=False)
class Ticket:
    """One waiting request. `called` is set when it has a `host`, or has lost its place.

    `again`: it was next before, and the process that it got had to be replaced.
    """

    party: str
    key: str
    again: bool = False
    host: Host | None = None
    called: threading.Event = field(default_factory=threading.Event)


class Lobby:
    """The waiting room of one pool. Not thread-safe: the pool holds its lock."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parties: OrderedDict[str, deque[Ticket]] = OrderedDict()
        self._front: deque[Ticket] = deque()

    def __len__(self) -> int:
        return len(self._front) + sum(map(len, self._parties.values()))

    def join(self, ticket: Ticket) -> None:
        """Let a request wait.

        Raises:
            RefusalError: busy: the lobby is full, or the party has its share of it.
        """
        own = len(self._parties.get(ticket.party, ()))
        parties = len(self._parties.keys() | {ticket.party})
        share = max(1, self._limit // parties)
        if parties > 1 and own >= share:
            raise RefusalError("busy", "others wait too, and you have your share", retry=True)
        if len(self) >= self._limit:
            self._push_out(share)
        self._parties.setdefault(ticket.party, deque()).append(ticket)

    def rejoin(self, ticket: Ticket) -> None:
        """Put a request before all others: it was next already, and its process was replaced."""
        self._front.append(ticket)

    def order(self) -> list[Ticket]:
        """Return who waits, in the order in which they are served."""
        rounds = zip_longest(*self._parties.values())
        return [*self._front, *(one for each in rounds for one in each if one is not None)]

    def take(self, ticket: Ticket) -> None:
        """Remove a request that is served now: its party goes to the end of the round."""
        turn = ticket not in self._front
        self.leave(ticket)
        if turn and ticket.party in self._parties:
            self._parties.move_to_end(ticket.party)

    def leave(self, ticket: Ticket) -> None:
        """Forget a request that waits no more; harmless when it has gone."""
        if ticket in self._front:
            self._front.remove(ticket)
        waiting = self._parties.get(ticket.party, deque())
        if ticket in waiting:
            waiting.remove(ticket)
            if not waiting:
                del self._parties[ticket.party]

    def _push_out(self, share: int) -> None:
        longest = max(self._parties.values(), key=len, default=deque[Ticket]())
        if len(longest) <= share:
            raise RefusalError("busy", "too many requests are waiting for a slot", retry=True)
        longest.pop().called.set()
