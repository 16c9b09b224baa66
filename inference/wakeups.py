"""Coalesced wake-ups: a flag in Redis says that a message is under way.

Submitter, on commit: set the flag unless it is set, and publish only if it was not. Drainer: delete
the flag first, then claim until no row is left; whoever commits after the deletion sets it anew. A
flag that a crash left behind is gone after five seconds. A broker without Redis gets a message each
time. Whatever fails here is only noted: the row is safe, and the sweeper says it again.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable

import redis
from django.conf import settings
from kombu.exceptions import KombuError, OperationalError

FLAG_S = 5
_SOCKET_S = 2.0
_FAULTS = (redis.RedisError, KombuError, OperationalError, OSError)
log = logging.getLogger(__name__)


def client() -> redis.Redis | None:
    """Return this process's client of the broker when it is a Redis, else None."""
    return _client(settings.CELERY_BROKER_URL)


def wake(lane: str, publish: Callable[[], object]) -> None:
    """Publish a wake-up for `lane` unless one is under way; never fails."""
    try:
        found = client()
        if found is None or found.set(_key(lane), 1, nx=True, ex=FLAG_S):
            publish()
    except _FAULTS as error:
        log.warning("no wake-up for %s: %s", lane, error)


def taken(lane: str) -> None:
    """Delete the flag of `lane`: from now on a new wake-up is published again."""
    try:
        found = client()
        if found is not None:
            found.delete(_key(lane))
    except _FAULTS as error:
        log.warning("the flag of %s stays until it is stale: %s", lane, error)


def _key(lane: str) -> str:
    return f"assay:wake:{lane}"


@functools.lru_cache(maxsize=2)
def _client(broker: str) -> redis.Redis | None:
    """Return a client of the broker when it is a Redis."""
    for prefix, scheme in (("redis+socket://", "unix://"), ("redis", "redis"), ("unix", "unix")):
        if broker.startswith(prefix):
            url = scheme + broker.removeprefix(prefix)
            return redis.Redis.from_url(
                url, socket_timeout=_SOCKET_S, socket_connect_timeout=_SOCKET_S
            )
    return None
