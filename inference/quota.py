"""How much one caller may ask for: requests in a minute, and runs at the same time.

A caller is the account behind a token or a session, else the address of the client (of IPv6 its
/64). A token bucket holds what a minute allows and fills at that rate. Both counts live in the
broker's Redis, so that web processes share them; where the broker is no Redis, or does not answer
at once, each process counts by itself for some seconds, and nobody is refused for our fault.

The hot path asks neither database nor Redis: a process takes tokens in blocks, a six-hundredth of
what a minute allows, and uses them up within ten seconds. So two processes together may waste a
block, and never give out more than there is. Running counts are exact within a process; what other
processes run is looked at when a caller runs more here than in the last five seconds.

Calls of the REST API (`config.throttle`) have buckets of their own, counted in the same way.

Nothing here is durable. A Redis that forgets forgets how much was used.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

import redis
from django.conf import settings
from django.http import HttpRequest
from redis.backoff import NoBackoff
from redis.retry import Retry
from rest_framework.request import Request

from inference import wakeups
from inference.errors import AccountNeededError, TooManyRequestsError
from registry.rights import Caller

PREFIX = "assay:quota"
HOLD_S, LOOK_S, ALONE_S = 10.0, 5.0, 5.0
BLOCKS_A_MINUTE = 600
ACCOUNTS = 10_000
_SOCKET_S = 0.2
_SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local rate, need, want = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local me, mine, limit, look = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local got, wait, room, left = 0, 0, 1, 0
if need > 0 then
  local held = redis.call('HMGET', KEYS[1], 'tokens', 'at')
  local passed = math.max(0, now - tonumber(held[2] or now))
  local tokens = math.min(rate, tonumber(held[1] or rate) + passed * rate / 60)
  if tokens >= need then got = math.min(want, math.floor(tokens)) end
  if tokens < need then wait = math.ceil((need - tokens) * 60 / rate) end
  left = math.floor(tokens - got)
  redis.call('HSET', KEYS[1], 'tokens', tostring(tokens - got), 'at', string.format('%.6f', now))
  redis.call('EXPIRE', KEYS[1], 120)
end
if mine > 0 and wait == 0 then
  local others = 0
  local all = redis.call('HGETALL', KEYS[2])
  for i = 1, #all, 2 do
    local count, till = string.match(all[i + 1], '(%d+) ([%d.]+)')
    if tonumber(till) <= now then redis.call('HDEL', KEYS[2], all[i])
    elseif all[i] ~= me then others = others + tonumber(count) end
  end
  if others + mine > limit then room = 0
  else
    redis.call('HSET', KEYS[2], me, mine .. ' ' .. string.format('%.6f', now + look))
    redis.call('EXPIRE', KEYS[2], 60)
  end
end
return {got, wait, room, left}
"""
log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Account:
    """What this process knows of one caller; times are on the monotonic clock.

    `tokens` were taken from Redis and serve until `until`; `running` of them run here, and up to
    `seen` were allowed until `seen_until`. `own` is the bucket of a process that counts alone.
    `left` was in the bucket when it was last looked at.
    """

    tokens: int = 0
    left: int = 0
    until: float = 0.0
    running: int = 0
    seen: int = 0
    seen_until: float = 0.0
    own: float | None = None
    own_at: float = 0.0


@dataclass(slots=True)
class _Counts:
    """The accounts of this process, and until when it counts alone."""

    process: str = field(default_factory=lambda: uuid.uuid4().hex)
    lock: threading.Lock = field(default_factory=threading.Lock)
    accounts: OrderedDict[str, _Account] = field(default_factory=OrderedDict)
    alone_until: float = 0.0

    def account(self, name: str) -> _Account:
        """Return the account of `name`, the freshest now; those who run nothing are forgotten."""
        found = self.accounts.pop(name, None) or _Account()
        self.accounts[name] = found
        if len(self.accounts) > ACCOUNTS:
            oldest = next(iter(self.accounts))
            if self.accounts[oldest].running:
                self.accounts.move_to_end(oldest)
            else:
                del self.accounts[oldest]
        return found


_counts = _Counts()


def take(request: HttpRequest | Request, user: Caller, *, cost: int = 1) -> None:
    """Count a request of `user` (None or anonymous: of the client's address).

    `cost` says how many it counts for, at most what a minute allows.

    Raises:
        TooManyRequestsError: the caller has used up what a minute allows; says when to come back.
        AccountNeededError: nothing is taken here from callers without an account.
    """
    name, rate = _who(request, user)
    _admit(name, rate, cost, runs=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a caller may ask for in a minute, and how much of that is left, about."""

    rate: int
    left: int


def take_call(request: HttpRequest | Request, user: Caller) -> Left:
    """Count a call of the REST API; return what is left.

    Raises:
        TooManyRequestsError: the caller has used up what a minute allows; says when to come back.
    """
    rate = call_rate(user)
    if user is not None and user.is_authenticated:
        name = f"api:u{user.pk}"
    else:
        name = f"api:a{client_address(request)}"
    _admit(name, rate, 1, runs=False)
    with _counts.lock:
        account = _counts.account(name)
        alone = account.own is not None and account.until <= time.monotonic()
        left = math.floor(account.own or 0) if alone else account.left + account.tokens
    return Left(rate=rate, left=min(left, rate))


def call_rate(user: Caller) -> int:
    """Return how many calls of the REST API `user` may make in a minute."""
    known = user is not None and user.is_authenticated
    rate: int = settings.API_RATE if known else settings.API_ANONYMOUS_RATE
    return rate


@contextmanager
def running(request: HttpRequest | Request, user: Caller) -> Iterator[None]:
    """Count a request as `take` does, and for the length of the block a run.

    Raises:
        TooManyRequestsError, AccountNeededError: as `take`; or the caller runs as many as allowed.
    """
    name, rate = _who(request, user)
    _admit(name, rate, 1, runs=True)
    try:
        yield
    finally:
        with _counts.lock:
            _counts.account(name).running -= 1


def _who(request: HttpRequest | Request, user: Caller) -> tuple[str, int]:
    """Return the caller's name here and what they may ask for in a minute."""
    if user is not None and user.is_authenticated:
        return f"u{user.pk}", settings.INFER_RATE
    if settings.INFER_ANONYMOUS_RATE < 1:
        raise AccountNeededError("Nothing is run here without an account: send a token.")
    return f"a{client_address(request)}", settings.INFER_ANONYMOUS_RATE


def client_address(request: HttpRequest | Request) -> str:
    """Return the address that counts: what the last trusted proxy wrote down, of IPv6 the /64.

    What the client itself put into X-Forwarded-For stands further left and says nothing.
    """
    proxies = settings.ALLAUTH_TRUSTED_PROXY_COUNT
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    texts = [request.META.get("REMOTE_ADDR", "")]
    if proxies and len(hops) >= proxies:
        texts.insert(0, hops[-proxies].strip())
    for text in texts:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if isinstance(address, ipaddress.IPv4Address):
            return str(address)
        mapped = address.ipv4_mapped
        return str(mapped or ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
    return "unknown"  # a unix socket without a proxy that says more


def _admit(name: str, rate: int, cost: int, *, runs: bool) -> None:
    """Take `cost` tokens and, if it `runs`, a place, or raise; count the run when it is taken."""
    if rate < 1:
        raise _too_many("Nothing is taken from this caller at present.", 3_600)
    limit = settings.INFER_CONCURRENT
    cost = min(cost, rate)
    now = time.monotonic()
    with _counts.lock:
        account = _counts.account(name)
        mine = account.running + 1 if runs else 0
        if mine > limit:
            raise _too_many_runs(limit)
        need = 0 if account.until > now and account.tokens >= cost else cost
        look = mine if mine > account.seen or now >= account.seen_until else 0
        account.tokens -= cost - need
        account.running += runs
    if not need and not look:
        return
    try:
        _ask(name, rate, need, look, limit)
    except BaseException:
        with _counts.lock:
            account.running -= runs
        raise


def _ask(name: str, rate: int, need: int, look: int, limit: int) -> None:
    """Ask Redis for `need` tokens and whether `look` runs here are not too many; or count alone."""
    client = _client(settings.CELERY_BROKER_URL)
    if client is None or time.monotonic() < _counts.alone_until:
        _count_alone(name, rate, need)
        return
    want = max(need, rate // BLOCKS_A_MINUTE) if need else 0
    keys = (f"{PREFIX}:{name}", f"{PREFIX}:{name}:runs")
    arguments = (rate, need, want, _counts.process, look, limit, LOOK_S)
    try:
        # The script's text goes along the first time only: redis-py sends its digest.
        got, wait_s, room, left = _script(client)(keys, arguments)
    except (redis.RedisError, OSError) as error:
        log.warning("requests are counted in each process alone: %s", error)
        _counts.alone_until = time.monotonic() + ALONE_S
        _count_alone(name, rate, need)
        return
    if wait_s:
        raise _too_many_a_minute(rate, int(wait_s))
    now = time.monotonic()
    with _counts.lock:
        account = _counts.account(name)
        if need:
            account.tokens = int(got) - need + (account.tokens if account.until > now else 0)
            account.until, account.left = now + HOLD_S, int(left)
        if not room:
            raise _too_many_runs(limit)
        if look:
            account.seen = look if now >= account.seen_until else max(look, account.seen)
            account.seen_until = now + LOOK_S


def _count_alone(name: str, rate: int, need: int) -> None:
    now = time.monotonic()
    with _counts.lock:
        account = _counts.account(name)
        held = float(rate) if account.own is None else account.own
        held = min(held + (now - account.own_at) * rate / 60, float(rate))
        if held < need:
            raise _too_many_a_minute(rate, math.ceil((need - held) * 60 / rate))
        account.own, account.own_at = held - need, now


def _too_many_a_minute(rate: int, wait_s: int) -> TooManyRequestsError:
    words = f"That was more than {rate} in a minute; the next one is taken in {wait_s} s."
    return _too_many(words, wait_s)


def _too_many_runs(limit: int) -> TooManyRequestsError:
    words = f"You run {limit} at the same time already: wait for one, or queue it."
    return _too_many(words, 1)


def _too_many(words: str, wait_s: int) -> TooManyRequestsError:
    error = TooManyRequestsError(words)
    error.retry_after_s = max(wait_s, 1)
    return error


@lru_cache(maxsize=2)
def _client(broker: str) -> redis.Redis | None:
    """Return a client of the broker that waits for nothing; None when it is no Redis."""
    shared = wakeups.client()
    if shared is None:
        return None
    pool = shared.connection_pool
    short = {
        "socket_timeout": _SOCKET_S,
        "socket_connect_timeout": _SOCKET_S,
        "retry": Retry(NoBackoff(), 1),  # a connection that the server had closed
    }
    kwargs = {**pool.connection_kwargs, **short}
    return redis.Redis(
        connection_pool=redis.ConnectionPool(connection_class=pool.connection_class, **kwargs)
    )


@lru_cache(maxsize=2)
def _script(client: redis.Redis) -> redis.commands.core.Script:
    return client.register_script(_SCRIPT)
