"""Waiting for executions to end, outside any transaction: the row is asked, a word only hurries.

Who ends executions announces their ids in Redis when the commit has happened; each waiter listens
to a channel that its execution's id names, then reads the row, then blocks, and reads the row again
twice a second: an announcement may be lost. Without Redis the row is read at growing intervals.
While it waits, a waiter gives its database connection back.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

import redis
from django.db import connection, transaction

from inference import wakeups
from inference.choices import TERMINAL
from inference.models import Execution

FIRST_S, SLOW_S = 0.02, 0.25
AGAIN_S = 0.5
log = logging.getLogger(__name__)


class Pause(Protocol):
    """Waits at most so many seconds, less when something may have happened."""

    def __call__(self, seconds: float) -> None: ...


def announce(ids: Iterable[uuid.UUID]) -> None:
    """Tell the waiters of `ids` that their executions have ended; never fails.

    Call it where they are ended: the word goes out when the surrounding transaction has committed.
    """
    told = [str(one) for one in ids]
    if told:
        transaction.on_commit(lambda: _publish(told), robust=True)


def _publish(ids: list[str]) -> None:
    client = wakeups.client()
    if client is None:
        return
    try:
        with client.pipeline(transaction=False) as pipeline:
            for one in ids:
                pipeline.publish(_channel(one), 1)
            pipeline.execute()
    except (redis.RedisError, OSError) as error:
        log.warning("%d ends were not announced: %s", len(ids), error)


def wait_ended(execution_id: uuid.UUID, timeout_s: float) -> bool:
    """Return True when the execution has ended, False when `timeout_s` seconds went by first."""
    until = time.monotonic() + timeout_s
    ended = Execution.objects.filter(pk=execution_id, state__in=TERMINAL)
    if timeout_s <= 0:
        return ended.exists()
    with listening(execution_id) as pause:
        while not ended.exists():
            left = until - time.monotonic()
            if left <= 0:
                return False
            pause(left)
    return True


@contextmanager
def listening(execution_id: uuid.UUID) -> Iterator[Pause]:
    """Listen for the end of an execution for the length of a block; gives how to pause in it."""
    subscription = _subscribe(execution_id)
    try:
        yield _sleeper() if subscription is None else _Ear(subscription)
    finally:
        if subscription is not None:
            with suppress(redis.RedisError, OSError):
                subscription.close()


class _Subscription(Protocol):
    """What is used of redis-py's `PubSub`."""

    def get_message(self, *, ignore_subscribe_messages: bool, timeout: float) -> object:
        """Wait for a message, at most `timeout` seconds."""


class _Ear:
    """Pauses until the channel speaks; where Redis goes away meanwhile, by sleeping."""

    def __init__(self, subscription: _Subscription) -> None:
        self._subscription = subscription
        self._sleep = _sleeper()
        self._deaf = False

    def __call__(self, seconds: float) -> None:
        if self._deaf:
            self._sleep(seconds)
            return
        give_connection_back()
        try:
            self._subscription.get_message(
                ignore_subscribe_messages=True, timeout=min(seconds, AGAIN_S)
            )
        except (redis.RedisError, OSError) as error:
            log.warning("nobody announces the ends of executions: %s", error)
            self._deaf = True


def _subscribe(execution_id: uuid.UUID) -> redis.client.PubSub | None:
    client = wakeups.client()
    if client is None:
        return None
    subscription: redis.client.PubSub = client.pubsub()  # type: ignore[no-untyped-call]  # redis-py leaves it out
    try:
        subscription.subscribe(_channel(str(execution_id)))
        # The server's own answer: from here on no word is missed.
        subscription.get_message(timeout=AGAIN_S)
    except (redis.RedisError, OSError) as error:
        log.warning("nobody announces the ends of executions: %s", error)
        subscription.close()
        return None
    return subscription


def _sleeper() -> Pause:
    pauses = [FIRST_S]

    def pause(seconds: float) -> None:
        give_connection_back()
        time.sleep(min(pauses[0], seconds))
        pauses[0] = min(pauses[0] * 1.5, SLOW_S)

    return pause


def give_connection_back() -> None:
    """Let others have this thread's database connection while it waits."""
    if not connection.in_atomic_block:
        connection.close()


def _channel(execution_id: str) -> str:
    return f"assay:ended:{execution_id}"
