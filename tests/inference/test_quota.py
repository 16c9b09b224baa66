"""How much one caller may ask for: in a minute, and at the same time."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import pytest
import redis
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.test import Client, RequestFactory
from pytest_django import Settings

from inference import quota, wakeups
from inference.errors import AccountNeededError, TooManyRequestsError
from tests.inference.builders import publish
from tests.inference.conftest import Site
from tests.inference.executor.models import add
from tests.people import Person

ADDRESS = "192.0.2.7"
INFER = "/v2/models/alice/add/infer"
BODY = '{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]}'


class Clock:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Clock:
    """Small limits, counts of one's own here and in Redis."""
    made = Clock()
    monkeypatch.setattr(quota, "time", made)
    monkeypatch.setattr(quota, "PREFIX", f"test:quota:{uuid.uuid4()}")
    monkeypatch.setattr(quota, "_counts", quota._Counts())
    settings.INFER_RATE, settings.INFER_ANONYMOUS_RATE, settings.INFER_CONCURRENT = 6, 3, 2
    return made


@pytest.fixture(params=["shared", "alone"])
def counted(request: pytest.FixtureRequest, settings: Settings) -> str:
    """Both ways to count: in the broker's Redis, and by the process itself."""
    if request.param == "alone":
        settings.CELERY_BROKER_URL = "memory://"
    return str(request.param)


def asking(address: str = ADDRESS, **meta: Any) -> HttpRequest:
    return RequestFactory().post(INFER, REMOTE_ADDR=address, **meta)


def times(request: HttpRequest, user: Any = None, limit: int = 50) -> int:
    """Return how many requests are taken before the first refusal."""
    for number in range(limit):
        try:
            quota.take(request, user)
        except TooManyRequestsError:
            return number
    return limit


def another_process(monkeypatch: pytest.MonkeyPatch) -> quota._Counts:
    """Go on as a process that has counted nothing; return the counts of the first."""
    first = quota._counts
    monkeypatch.setattr(quota, "_counts", quota._Counts())
    return first


# ------------------------------------------------------------------ in a minute


def test_mallory_may_not_ask_for_more_than_a_minute_allows(counted: str) -> None:
    assert times(asking()) == 3
    with pytest.raises(TooManyRequestsError, match="more than 3 in a minute") as refusal:
        quota.take(asking(), AnonymousUser())
    assert (refusal.value.status, refusal.value.code) == (429, "too_many_requests")
    assert refusal.value.retry_after_s in (19, 20)


def test_alice_is_counted_by_her_account_and_not_by_her_address(
    alice: Person, bob: Person, counted: str
) -> None:
    assert times(asking(), alice.user) == 6
    assert times(asking("198.51.100.1"), alice.user) == 0
    assert times(asking(), bob.user) == 6
    assert times(asking()) == 3


def test_a_process_that_counts_alone_fills_the_bucket_again(
    clock: Clock, settings: Settings
) -> None:
    settings.CELERY_BROKER_URL = "memory://"
    assert times(asking()) == 3
    clock.now += 21
    assert times(asking()) == 1
    clock.now += 3_600
    assert times(asking()) == 3


def test_a_shared_bucket_fills_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert times(asking()) == 3
    client = wakeups.client()
    assert client is not None
    key = f"{quota.PREFIX}:a{ADDRESS}"
    client.hincrbyfloat(key, "at", -41)
    assert times(asking()) == 2
    assert 0 < client.ttl(key) <= 120


def test_two_processes_share_what_a_minute_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    quota.take(asking(), None)
    another_process(monkeypatch)
    assert times(asking()) == 2


def test_the_hot_path_asks_redis_once_for_many_requests(
    settings: Settings, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.INFER_ANONYMOUS_RATE = 6_000  # ten at a time
    client = wakeups.client()
    assert client is not None
    taken: list[float] = []
    for _ in range(25):
        with quota.running(asking(), None):
            pass
        at = client.hget(f"{quota.PREFIX}:a{ADDRESS}", "at")
        assert at is not None
        taken.append(float(at))
    assert len(set(taken)) == 3  # at the first, the eleventh, the twenty-first
    clock.now += quota.HOLD_S + 1  # what was not used is not kept
    quota.take(asking(), None)
    assert quota._counts.accounts[f"a{ADDRESS}"].tokens == 9


def test_a_batch_may_count_for_more(counted: str) -> None:
    quota.take(asking(), None, cost=2)
    assert times(asking()) == 1
    with pytest.raises(TooManyRequestsError):
        quota.take(asking(), None, cost=500)  # at most a whole minute's worth, which is not there


def test_without_an_account_nothing_is_taken_where_that_is_the_rule(
    settings: Settings, alice: Person
) -> None:
    settings.INFER_ANONYMOUS_RATE = 0
    with pytest.raises(AccountNeededError):
        quota.take(asking(), None)
    quota.take(asking(), alice.user)
    settings.INFER_RATE = 0
    with pytest.raises(TooManyRequestsError, match="at present"):
        quota.take(asking(), alice.user)


# ------------------------------------------------------------------ at the same time


def test_mallory_may_not_run_more_at_the_same_time(counted: str) -> None:
    with quota.running(asking(), None):
        with quota.running(asking(), None):
            with pytest.raises(TooManyRequestsError, match="2 at the same time"):
                quota.running(asking(), None).__enter__()
            with quota.running(asking("198.51.100.1"), None):
                pass
        with quota.running(asking(), None):
            pass
    assert quota._counts.accounts[f"a{ADDRESS}"].running == 0


def test_who_runs_elsewhere_is_counted_here_for_a_while(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.INFER_ANONYMOUS_RATE = 60
    with quota.running(asking(), None), quota.running(asking(), None):
        another_process(monkeypatch)
        with pytest.raises(TooManyRequestsError, match="at the same time"):
            quota.running(asking(), None).__enter__()
        assert quota._counts.accounts[f"a{ADDRESS}"].running == 0
        client = wakeups.client()
        assert client is not None
        (me,) = client.hkeys(f"{quota.PREFIX}:a{ADDRESS}:runs")
        client.hset(f"{quota.PREFIX}:a{ADDRESS}:runs", me, "2 1.0")  # long ago
        with quota.running(asking(), None):
            pass
        monkeypatch.undo()


def test_a_run_that_breaks_is_over(counted: str) -> None:
    with pytest.raises(ZeroDivisionError), quota.running(asking(), None):
        raise ZeroDivisionError
    assert quota._counts.accounts[f"a{ADDRESS}"].running == 0


def test_threads_of_one_caller_are_counted_exactly(settings: Settings, counted: str) -> None:
    settings.INFER_ANONYMOUS_RATE = 20
    taken = []
    barrier = threading.Barrier(8)

    def ask() -> None:
        barrier.wait()
        taken.append(times(asking()))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 20


def test_the_callers_of_long_ago_are_forgotten(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.CELERY_BROKER_URL = "memory://"
    monkeypatch.setattr(quota, "ACCOUNTS", 3)
    with quota.running(asking("192.0.2.1"), None):
        for number in range(2, 10):
            quota.take(asking(f"192.0.2.{number}"), None)
        assert "a192.0.2.1" in quota._counts.accounts
    assert len(quota._counts.accounts) <= 4


# ------------------------------------------------------------------ when Redis is away


def test_nobody_is_refused_because_redis_is_away(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, clock: Clock
) -> None:
    settings.CELERY_BROKER_URL = "redis+socket:///nowhere/redis.sock"
    asked = []
    script = quota._script

    def counting(client: redis.Redis) -> Any:
        asked.append(client)
        return script(client)

    monkeypatch.setattr(quota, "_script", counting)
    with quota.running(asking(), None):
        assert times(asking()) == 2
    assert len(asked) == 1, "for some seconds it is left alone"
    clock.now += quota.ALONE_S + 1
    quota.take(asking("192.0.2.8"), None)
    assert len(asked) == 2


# ------------------------------------------------------------------ whose address


@pytest.mark.parametrize(
    ("proxies", "forwarded", "remote", "found"),
    [
        (0, "203.0.113.9", ADDRESS, ADDRESS),
        (1, "203.0.113.9", "127.0.0.1", "203.0.113.9"),
        (1, "6.6.6.6, 203.0.113.9", "127.0.0.1", "203.0.113.9"),
        (2, "6.6.6.6, 203.0.113.9, 10.0.0.1", "127.0.0.1", "203.0.113.9"),
        (2, "203.0.113.9", ADDRESS, ADDRESS),
        (1, "", ADDRESS, ADDRESS),
        (1, "nonsense", ADDRESS, ADDRESS),
        (0, "", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (0, "", "::ffff:192.0.2.7", ADDRESS),
        (0, "", "", "unknown"),
    ],
)
def test_mallory_may_not_choose_the_address_that_counts(
    settings: Settings, proxies: int, forwarded: str, remote: str, found: str
) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    request = asking(remote, HTTP_X_FORWARDED_FOR=forwarded)
    assert quota.client_address(request) == found


# ------------------------------------------------------------------ over HTTP


def test_mallory_is_told_when_to_come_back_on_every_road(
    site: Site, alice: Person, mallory: Person, settings: Settings, client: Client
) -> None:
    settings.CELERY_BROKER_URL = "memory://"
    settings.INFER_ANONYMOUS_RATE = settings.INFER_RATE = 1
    publish(alice, "add", add())
    assert client.post(INFER, BODY, content_type="application/json").status_code == 200
    answer = client.post(INFER, BODY, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_requests")
    assert 1 <= int(answer["Retry-After"]) <= 60
    client.force_login(mallory.user)
    page = "/models/alice/add/run/1.0.0/infer"
    assert client.post(page, BODY, content_type="application/json").status_code == 200
    assert client.post(page, BODY, content_type="application/json").status_code == 429
    asked = BODY.replace("{", '{"model": "alice/add", ', 1)
    answer = client.post("/api/v1/executions", asked, content_type="application/json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_many_requests")
    assert int(answer["Retry-After"]) >= 1


# ------------------------------------------------------------------ the form without a script


FORM = "/models/alice/add/run/"
TYPED = {"inputs": '[{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]'}


def test_the_form_of_a_page_is_no_way_around_the_limits(
    site: Site, alice: Person, client: Client, counted: str
) -> None:
    publish(alice, "add", add())
    told = [client.post(FORM, TYPED).status_code for _ in range(4)]
    assert told == [200, 200, 200, 429]
    refused = client.post(FORM, TYPED)
    assert refused.context["error"]["code"] == "too_many_requests"
    assert int(refused["Retry-After"]) > 0
    assert refused.context["typed"] == TYPED["inputs"], "nothing is lost"
    assert times(asking("127.0.0.1")) == 0, "both ways share one bucket"
    client.force_login(alice.user)
    assert client.post(FORM, TYPED).status_code == 200


def test_where_an_account_is_needed_the_form_needs_one_too(
    site: Site, alice: Person, client: Client, settings: Settings
) -> None:
    publish(alice, "add", add())
    settings.INFER_ANONYMOUS_RATE = 0
    refused = client.post(FORM, TYPED)
    assert (refused.status_code, refused.context["error"]["code"]) == (401, "account_needed")
    assert client.get(FORM).status_code == 200
    client.force_login(alice.user)
    assert client.post(FORM, TYPED).status_code == 200
