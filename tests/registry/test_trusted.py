"""Trusted publishing: a build exchanges its ID token; liars exchange nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from registry import issuers
from registry.errors import BadTokenError, IssuerAwayError
from registry.idtoken import parse_jwks, parse_token
from registry.issuers import ISSUERS, Issuers, fetch_keys
from registry.models import ApiToken, AuditEvent, Release, TrustedPublisher, TrustedRun
from registry.services import trusted
from tests import builders
from tests.people import Person
from tests.registry import calls, issuer as issuing
from tests.registry.calls import API
from tests.registry.issuer import CONFIGURATION, JWKS, Issuer, b64, jwk

pytestmark = pytest.mark.usefixtures("opened")
SITE = "https://assay.example.org"
WORKFLOW = {"repository": "alice/digits", "workflow": "release.yml", "environment": "production"}


@pytest.fixture
def issuer(settings: Settings) -> Iterator[Issuer]:
    """An issuer that the site trusts."""
    with issuing.running() as running:
        settings.SITE_URL = SITE
        settings.TRUSTED_ISSUERS = [running.url]
        ISSUERS.forget()
        yield running
        ISSUERS.forget()


def trust(person: Person, model: str = "alice/double", **changes: Any) -> Any:
    body = {**WORKFLOW, **changes}
    return person.api().post(f"{API}/models/{model}/trusted", body, format="json")


def exchange(token: str, model: str = "alice/double") -> Any:
    return APIClient().post(f"{API}/trusted/token", {"model": model, "token": token}, format="json")


def trusting(person: Person, **changes: Any) -> Any:
    builders.make_model(person)
    answer = trust(person, **changes)
    assert answer.status_code == 201, answer.json()
    return answer.json()


def as_run(token: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


# ------------------------------------------------------------------ the way it should go


@pytest.mark.parametrize("key", ["rsa", "ec"])
def test_a_run_that_is_trusted_publishes_the_model(alice: Person, issuer: Issuer, key: str) -> None:
    pair = builders.make_key(alice)
    revision = builders.make_revision(alice)
    trust(alice)
    answer = exchange(issuer.token(key))
    assert answer.status_code == 201, answer.json()
    given = answer.json()
    assert (given["scope"], given["model"]) == ("publish", "alice/double")
    envelopes = builders.make_claims(revision, pair.private)
    run = as_run(given["token"])
    made = calls.release(run, "alice/double", revision.pk, envelopes, pair.fingerprint)
    assert made.status_code == 201, made.json()
    told = APIClient().get(f"{API}/models/alice/double/releases/1.0.0").json()["run"]
    assert told["issuer"] == issuer.url
    assert told["claims"]["sha"] == "ab" * 20
    assert "sub" not in told["claims"]
    assert AuditEvent.objects.filter(action="trusted.exchange", user=alice.user).count() == 1


def test_a_release_by_a_person_names_no_run(alice: Person) -> None:
    builders.publish_release(alice)
    assert alice.api().get(f"{API}/models/alice/double/releases/1.0.0").json()["run"] is None
    assert trusted.run_of(Release.objects.get()) is None


def test_the_page_of_a_release_says_which_run_published_it(
    alice: Person, issuer: Issuer, client: Client
) -> None:
    pair, revision = builders.make_key(alice), builders.make_revision(alice)
    trust(alice)
    run = as_run(exchange(issuer.token()).json()["token"])
    envelopes = builders.make_claims(revision, pair.private)
    calls.release(run, "alice/double", revision.pk, envelopes, pair.fingerprint)
    page = client.get("/models/alice/double/releases/1.0.0/").content.decode()
    assert "Published by a CI run" in page
    assert "alice/digits" in page
    assert "alice/digits/.github/workflows/release.yml@refs/heads/main" in page


def test_the_token_reaches_that_model_for_a_quarter_of_an_hour_and_nothing_else(
    alice: Person, issuer: Issuer
) -> None:
    trusting(alice)
    builders.make_model(alice, "private", visibility="private")
    given = exchange(issuer.token()).json()
    row = ApiToken.objects.get(limited=True)
    left = (row.expiry - row.created).total_seconds()
    assert 890 < left <= 901
    run = as_run(given["token"])
    assert run.get(f"{API}/models/alice/double").status_code == 200
    hidden = run.get(f"{API}/models/alice/private")
    assert calls.error(hidden) == (404, "unknown_model")
    envelope = builders.key_envelope(builders.private_key("mallory"), "alice")
    body = {"envelope": envelope.to_dict(), "name": "mine"}
    assert run.post(f"{API}/keys", body, format="json").status_code == 403
    assert (
        run.post(f"{API}/models/alice/double/trusted", WORKFLOW, format="json").status_code == 403
    )
    assert run.post(f"{API}/models", {"name": "more"}, format="json").status_code == 403


def test_an_environment_that_nobody_asked_for_does_not_matter(
    alice: Person, issuer: Issuer
) -> None:
    trusting(alice, environment="")
    assert exchange(issuer.token(environment=None)).status_code == 201
    assert exchange(issuer.token(environment="anything")).status_code == 201


# ------------------------------------------------------------------ lies about who runs


@pytest.mark.parametrize(
    "changes",
    [
        {"repository": "mallory/digits"},
        {"repository": "alice/digits2"},
        {"repository": None},
        {"job_workflow_ref": "alice/digits/.github/workflows/other.yml@refs/heads/main"},
        {"job_workflow_ref": "mallory/lent/.github/workflows/release.yml@refs/heads/main"},
        {"job_workflow_ref": "alice/digits/.github/workflows/release.yml.sh@refs/heads/main"},
        {"job_workflow_ref": None},
        {"job_workflow_ref": 7},
        {"environment": "staging"},
        {"environment": None},
    ],
)
def test_another_run_gets_nothing(alice: Person, issuer: Issuer, changes: dict[str, Any]) -> None:
    trusting(alice)
    assert calls.error(exchange(issuer.token(**changes))) == (404, "unknown_publisher")
    assert not TrustedRun.objects.exists()


def test_a_repository_made_again_under_its_name_is_another_one(
    alice: Person, issuer: Issuer
) -> None:
    trusting(alice)
    assert exchange(issuer.token()).status_code == 201
    assert TrustedPublisher.objects.get().repository_id == "1001"
    others: list[dict[str, Any]] = [{"repository_id": "2002"}, {"repository_owner_id": "18"}]
    for changes in others:
        assert calls.error(exchange(issuer.token(**changes))) == (404, "unknown_publisher")
    assert exchange(issuer.token()).status_code == 201


def test_a_model_that_is_not_there_answers_as_one_that_does_not_trust(
    alice: Person, issuer: Issuer
) -> None:
    builders.make_model(alice, "private", visibility="private")
    for model in ("alice/private", "alice/nothing", "nobody"):
        assert calls.error(exchange(issuer.token(), model)) == (404, "unknown_publisher")


def test_a_token_is_exchanged_once(alice: Person, issuer: Issuer) -> None:
    trusting(alice)
    token = issuer.token()
    assert exchange(token).status_code == 201
    assert calls.error(exchange(token)) == (409, "replayed_token")
    builders.make_model(alice, "second")
    trust(alice, "alice/second")
    assert calls.error(exchange(token, "alice/second")) == (409, "replayed_token")
    assert ApiToken.objects.filter(limited=True).count() == 1


def test_who_may_no_longer_release_lends_no_right(alice: Person, issuer: Issuer) -> None:
    trusting(alice)
    get_user_model().objects.update(is_active=False)
    assert calls.error(exchange(issuer.token())) == (403, "not_allowed")


# ------------------------------------------------------------------ lies in the token


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"aud": "https://elsewhere.example.org"}, "not meant for this site"),
        ({"aud": [SITE, "https://elsewhere.example.org"]}, "not meant for this site"),
        ({"aud": None}, "not meant for this site"),
        ({"exp": 1_700_000_000, "iat": 1_699_999_000, "nbf": 1}, "expired"),
        ({"nbf": int(time.time()) + 3_600}, "not valid yet"),
        ({"iat": int(time.time()) + 3_600, "exp": int(time.time()) + 4_000}, "not valid yet"),
        ({"exp": int(time.time()) + 200_000}, "more than a day"),
        ({"exp": None}, "no time 'exp'"),
        ({"exp": "tomorrow"}, "no time 'exp'"),
        ({"exp": True}, "no time 'exp'"),
        ({"iat": None, "nbf": None}, "no time 'iat'"),
        ({"jti": None}, "jti"),
        ({"jti": ""}, "jti"),
        ({"jti": "x" * 201}, "jti"),
        ({"iss": None}, "names no issuer"),
    ],
)
def test_a_token_that_is_not_for_here_and_now_is_refused(
    alice: Person, issuer: Issuer, changes: dict[str, Any], words: str
) -> None:
    trusting(alice)
    answer = exchange(issuer.token(**changes))
    assert calls.error(answer) == (401, "bad_token")
    assert words in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ({"alg": "none"}, "none"),
        ({"alg": "None"}, "none"),
        ({"alg": "HS256", "kid": "rsa"}, "hmac"),
        ({"alg": "RS256", "kid": "rsa"}, "hmac"),
        ({"alg": "ES256", "kid": "rsa"}, "rsa"),
        ({"alg": "RS256", "kid": "rsa"}, "none"),
        ({"alg": "RS256", "kid": "ec"}, "rsa"),
        ({"alg": "ES256", "kid": "ec"}, "none"),
        ({"alg": "RS256", "kid": ""}, "rsa"),
        ({"alg": "RS256", "kid": "rsa", "crit": ["exp"]}, "rsa"),
        ({"alg": "RS256", "kid": "unknown"}, "rsa"),
    ],
)
def test_a_token_under_another_algorithm_or_key_is_refused(
    alice: Person, issuer: Issuer, header: dict[str, Any], key: str
) -> None:
    trusting(alice)
    answer = exchange(issuer.sign(header, issuer.claims(), key))
    assert calls.error(answer) == (401, "bad_token")


def test_changed_claims_are_not_what_was_signed(alice: Person, issuer: Issuer) -> None:
    trusting(alice)
    head, _, signature = issuer.token(repository="mallory/own").split(".")
    claims = b64(json.dumps(issuer.claims()).encode())
    assert calls.error(exchange(f"{head}.{claims}.{signature}")) == (401, "bad_token")


@pytest.mark.parametrize(
    "token",
    ["", "a", "a.b", "a.b.c.d", "é.é.é", "e30.e30.", f"{b64(b'[]')}.e30.AA", "!.e30.AA"],
)
def test_what_is_no_token_is_refused(alice: Person, issuer: Issuer, token: str) -> None:
    answer = exchange(token)
    assert answer.status_code in (400, 401)
    assert issuer.asked == []


def test_a_token_has_a_size(issuer: Issuer) -> None:
    with pytest.raises(BadTokenError, match="longer"):
        parse_token("a" * 20_000)


def test_a_token_that_says_two_things_is_refused(alice: Person, issuer: Issuer) -> None:
    """Two parsers could read a doubled claim differently."""
    trusting(alice)
    head = b64(json.dumps({"alg": "RS256", "kid": "rsa"}).encode())
    claims = json.dumps(issuer.claims())
    doubled = b64(('{"repository": "mallory/own", ' + claims[1:]).encode())
    assert calls.error(exchange(f"{head}.{doubled}.AAAA")) == (401, "bad_token")


# ------------------------------------------------------------------ the issuer


def test_an_issuer_that_the_operator_did_not_name_is_not_asked(
    alice: Person, issuer: Issuer
) -> None:
    with issuing.running() as other:
        other.keys = issuer.keys
        trusting(alice)
        claims = issuer.claims(iss=other.url)
        token = issuer.sign({"alg": "RS256", "kid": "rsa"}, claims, "rsa")
        assert calls.error(exchange(token)) == (403, "untrusted_issuer")
        assert other.asked == []


def test_an_issuer_changes_its_keys(alice: Person, issuer: Issuer) -> None:
    trusting(alice)
    assert exchange(issuer.token()).status_code == 201
    issuer.rsa = rsa.generate_private_key(65537, 2048)
    old = issuer.keys
    issuer.keys = [jwk("next", issuer.rsa)]
    token = issuer.sign({"alg": "RS256", "kid": "next"}, issuer.claims(), "rsa")
    assert exchange(token).status_code == 201
    issuer.keys = old
    issuer.asked.clear()
    for number in range(3):  # made-up keys do not make us ask again and again
        made_up = issuer.sign({"alg": "RS256", "kid": f"k{number}"}, issuer.claims(), "rsa")
        assert calls.error(exchange(made_up)) == (401, "bad_token")
    assert issuer.asked == []


def test_keys_are_remembered_and_asked_for_anew_when_they_are_old(issuer: Issuer) -> None:
    now = [0.0]
    known = Issuers(clock=lambda: now[0])

    def check() -> None:
        known.claims(parse_token(issuer.token()), audience=SITE, now=int(time.time()))

    check()
    check()
    assert issuer.asked == [CONFIGURATION, JWKS]
    now[0] = issuers.FRESH_S
    check()
    assert len(issuer.asked) == 4
    issuer.documents[JWKS] = 503
    now[0] += issuers.FRESH_S
    check()  # what is remembered serves while the issuer is away
    now[0] += issuers.STALE_S
    with pytest.raises(IssuerAwayError):
        check()


@pytest.mark.parametrize(
    "documents",
    [
        {CONFIGURATION: 503},
        {CONFIGURATION: 302},
        {CONFIGURATION: []},
        {CONFIGURATION: {"issuer": "https://elsewhere.example.org", "jwks_uri": "x"}},
        {JWKS: {"keys": "none"}},
        {JWKS: {"keys": [{}] * 100}},
        {JWKS: 302},
    ],
)
def test_an_issuer_that_answers_nonsense_is_away(
    alice: Person, issuer: Issuer, documents: dict[str, Any]
) -> None:
    trusting(alice)
    issuer.documents.update(documents)
    assert calls.error(exchange(issuer.token())) == (503, "issuer_away")


@pytest.mark.parametrize(
    "uri",
    [
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "https://127.0.0.1/jwks",
        "{url}/jwks?next=http://127.0.0.1",
        7,
    ],
)
def test_an_issuer_sends_the_server_nowhere_else(issuer: Issuer, uri: Any) -> None:
    named = uri.format(url=issuer.url) if isinstance(uri, str) else uri
    issuer.documents[CONFIGURATION] = {"issuer": issuer.url, "jwks_uri": named}
    with pytest.raises(IssuerAwayError, match="elsewhere"):
        fetch_keys(issuer.url)
    assert issuer.asked == [CONFIGURATION]


@pytest.mark.parametrize("address", ["http://issuer.example.org", "ftp://127.0.0.1", "issuer"])
def test_an_issuer_speaks_https(address: str) -> None:
    with pytest.raises(IssuerAwayError, match="https"):
        fetch_keys(address)


def test_keys_that_cannot_check_a_token_are_passed_over() -> None:
    small = rsa.generate_private_key(65537, 1024)  # noqa: S505 (which is the point)
    good = ec.generate_private_key(ec.SECP256R1())
    off_curve = {**jwk("off", good), "y": b64(b"\1" * 32)}
    items = [
        jwk("small", small),
        jwk("encrypts", good, use="enc"),
        jwk("other", good, alg="HS256"),
        jwk("384", good, crv="P-384"),
        jwk("text", good, x=7),
        jwk("no base64", good, x="é"),
        {"kty": "oct", "kid": "secret", "k": "AAAA"},
        off_curve,
        "no key",
        jwk("good", good),
    ]
    assert list(parse_jwks(json.dumps({"keys": items}).encode())) == ["good"]
    with pytest.raises(BadTokenError, match="not JSON"):
        parse_jwks(b"<html>")


# ------------------------------------------------------------------ who may say whom to trust


def test_only_who_may_change_the_model_says_whom_it_trusts(
    alice: Person, mallory: Person, issuer: Issuer
) -> None:
    publisher = trusting(alice)
    url = f"{API}/models/alice/double/trusted"
    assert calls.error(trust(mallory)) == (403, "not_allowed")
    assert calls.error(mallory.api().get(url)) == (403, "not_allowed")
    assert mallory.api().delete(f"{url}/{publisher['id']}").status_code == 403
    assert APIClient().get(url).status_code == 401
    assert trust(alice, repository="alice/other").status_code == 201
    listed = alice.api().get(url).json()["items"]
    assert [item["repository"] for item in listed] == ["alice/digits", "alice/other"]
    assert listed[0]["issuer"] == issuer.url


def test_a_publisher_that_is_removed_takes_its_tokens_along(alice: Person, issuer: Issuer) -> None:
    publisher = trusting(alice)
    run = as_run(exchange(issuer.token()).json()["token"])
    url = f"{API}/models/alice/double/trusted/{publisher['id']}"
    assert alice.api().delete(url).status_code == 204
    assert calls.error(alice.api().delete(url)) == (404, "unknown_publisher")
    assert run.get(f"{API}/models/alice/double").status_code == 401
    assert calls.error(exchange(issuer.token())) == (404, "unknown_publisher")
    assert trust(alice).status_code == 201  # and may be trusted again
    with pytest.raises(IntegrityError, match="history"), transaction.atomic():
        TrustedRun.objects.all().delete()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"repository": "digits"}, "repository"),
        ({"repository": "alice/digits/x"}, "repository"),
        ({"workflow": "release"}, "workflow"),
        ({"workflow": "../release.yml"}, "workflow"),
        ({"environment": "a\x07b"}, "environment"),
        ({"issuer": "https://elsewhere.example.org"}, "issuer"),
    ],
)
def test_a_publisher_is_spelled_as_the_build_service_does(
    alice: Person, issuer: Issuer, changes: dict[str, str], field: str
) -> None:
    builders.make_model(alice)
    answer = trust(alice, **changes)
    assert calls.error(answer) == (400, "invalid_input")
    assert answer.json()["error"]["detail"]["field"] == field


def test_a_workflow_is_trusted_once_and_not_without_number(
    alice: Person, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusting(alice)
    assert calls.error(trust(alice)) == (409, "conflict")
    monkeypatch.setattr(trusted, "MAX_PUBLISHERS", 1)
    assert calls.error(trust(alice, workflow="b.yml")) == (409, "conflict")


def test_a_site_that_trusts_no_issuer_says_so(
    alice: Person, issuer: Issuer, settings: Settings
) -> None:
    settings.TRUSTED_ISSUERS = []
    builders.make_model(alice)
    assert calls.error(trust(alice)) == (403, "not_allowed")
    assert calls.error(exchange(issuer.token())) == (403, "untrusted_issuer")
