"""Mallory chooses a webhook's address; this machine is never sent where she may not look."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

import pytest

from inference.errors import WebhookAddressError
from inference.webhooks.guard import (
    MAX_ADDRESSES,
    Rules,
    UnresolvedError,
    addresses_of,
    is_public,
    parse_url,
    resolve_by_system,
)

STRICT = Rules()
LOCAL = Rules(loopback=True)
PUBLIC = ("93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "2a00:1450::1")
PRIVATE = (
    "0.0.0.0",  # noqa: S104 (nothing listens here)
    *("0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.0.9"),
    *("169.254.169.254", "168.63.129.16", "172.16.5.4", "172.31.0.1", "192.0.0.8", "192.0.2.1"),
    *("192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1"),
    *("239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:7f00:1"),
    *("64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::a00:1", "100::1", "2001::1"),
    *("2001:0:53aa:64c:0:1234:5601:203", "2001:10::1", "2001:20::1", "2001:db8::1"),
    *("2002:7f00:1::", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd12::1"),
    *("fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1", "2a00:1450::5efe:10.0.0.1"),
    "2a00:1450::200:5efe:7f00:1",
)


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_may_be_told(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", PRIVATE)
def test_mallory_may_not_name_a_network_of_ours(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))
    host = f"[{text}]" if ":" in text else text
    with pytest.raises(WebhookAddressError):
        parse_url(f"https://{host}/", STRICT)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org",
        "https://EXAMPLE.org/a?b=c&d",
        "https://example.org:443/",
        "https://example.org:80/",
        "https://hooks.example.org:8443/x/y",
        "https://93.184.215.14/",
        "https://[2a00:1450::1]/",
        "https://xn--bcher-kva.example/",
        "https://a_b.example.org/%20",
    ],
)
def test_alice_may_be_told_at_a_public_address(url: str) -> None:
    assert parse_url(url, STRICT).https


def test_an_address_is_read_into_what_is_sent() -> None:
    place = parse_url("https://Example.org:8443/a/b?c=d", STRICT)
    assert (place.host, place.port, place.target) == ("example.org", 8443, "/a/b?c=d")
    assert place.authority == "example.org:8443"
    place = parse_url("https://[2a00:1450::1]", STRICT)
    assert (place.host, place.target, place.authority) == ("2a00:1450::1", "/", "[2a00:1450::1]")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://",
        "https:///path",
        "https://example.org/" + "a" * 2_000,
        # another scheme
        "http://example.org/",
        "HTTP://127.0.0.1/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "//example.org/",
        "example.org",
        # credentials, fragments
        "https://user@example.org/",
        "https://user:pass@example.org/",
        "https://example.org@127.0.0.1/",
        "https://@example.org/",
        "https://example.org/#x",
        "https://example.org#@127.0.0.1/",
        "https://example.org/#",
        # ports
        "https://example.org:22/",
        "https://example.org:6379/",
        "https://example.org:0/",
        "https://example.org:65536/",
        "https://example.org:٤٤٣/",
        "https://example.org:4 43/",
        "https://example.org:-1/",
        # this machine in disguise
        "https://localhost/",
        "https://localhost./",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://127.0.0.1./",
        "https://0/",
        "https://1.2.3.4.5/",
        "https://example.0x7f/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[example.org]/",
        "https://[127.0.0.1]/",
        "https://[::1/",
        "https://[2a00:1450::1]x/",
        "https://[2a00:1450::1].example.org/",
        "https://\uff11\uff12\uff17.0.0.1/",
        "https://①②⑦.0.0.1/",
        "https://127。0。0。1/",
        # names that only this network completes, or none at all
        "https://metadata/",
        "https://intranet:8443/",
        "https://.example.org/",
        "https://example..org/",
        "https://-a.example.org/",
        "https://example.org-/",
        "https://exa%6dple.org/",
        "https://bücher.example/",
        f"https://{'a' * 64}.example.org/",
        f"https://{'a.' * 130}org/",
        # what parsers read in two ways
        "https://example.org\\@127.0.0.1/",
        "https://example.org/a b",
        " https://example.org/",
        "https://example.org/\r\nHost: x",
        "https://example.org\t/",
        "https://example.org/\x00",
        "https://exam\u00adple.org/",
        "https://127.0.0.1\u2215@example.org/",
    ],
)
def test_mallory_may_not_write_this_address(url: str) -> None:
    with pytest.raises(WebhookAddressError):
        parse_url(url, STRICT)


def test_high_ports_are_the_operators_choice() -> None:
    url = "https://example.org:9000/"
    with pytest.raises(WebhookAddressError, match="443, 80, 8443"):
        parse_url(url, STRICT)
    assert parse_url(url, Rules(high_ports=True)).port == 9000
    with pytest.raises(WebhookAddressError, match="above 1024"):
        parse_url("https://example.org:1024/", Rules(high_ports=True))


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:9000/", "http://localhost/", "https://[::1]:9000/", "http://127.9.9.9/"],
)
def test_loopback_is_the_operators_choice(url: str) -> None:
    with pytest.raises(WebhookAddressError):
        parse_url(url, STRICT)
    assert parse_url(url, LOCAL).target == "/"


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/", "http://93.184.215.14/", "https://169.254.169.254/", "http://0/"]
)
def test_loopback_opens_nothing_else(url: str) -> None:
    with pytest.raises(WebhookAddressError):
        parse_url(url, LOCAL)


# ------------------------------------------------------------------ names


class Names:
    """A name server of mallory's: each question gets the next of its answers."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self.answers.pop(0)


def test_a_name_is_resolved_once_and_its_addresses_are_what_is_used() -> None:
    names = Names(("93.184.215.14", "2a00:1450::1", "93.184.215.14"), ("127.0.0.1",))
    place = parse_url("https://example.org/", STRICT)
    assert addresses_of(place, STRICT, names) == ("93.184.215.14", "2a00:1450::1")
    assert names.asked == [("example.org", 443)]


@pytest.mark.parametrize("address", PRIVATE)
def test_mallorys_name_may_not_mean_a_machine_of_ours(address: str) -> None:
    place = parse_url("https://rebind.example/", STRICT)
    for answer in ([address], ["93.184.215.14", address]):
        with pytest.raises(WebhookAddressError) as refused:
            addresses_of(place, STRICT, Names(answer))
        # She need not learn what her name means in here.
        assert refused.value.message == "rebind.example is not at a public address."


def test_a_name_that_was_public_yesterday_is_checked_again_today() -> None:
    names = Names(["93.184.215.14"], ["169.254.169.254"])
    place = parse_url("https://rebind.example/", STRICT)
    assert addresses_of(place, STRICT, names) == ("93.184.215.14",)
    with pytest.raises(WebhookAddressError):
        addresses_of(place, STRICT, names)


@pytest.mark.parametrize(
    "answer", ["127.1", "0x7f000001", "2130706433", "", "example.org", "1.2.3.04"]
)
def test_what_a_resolver_says_is_one_spelling_of_an_address(answer: str) -> None:
    place = parse_url("https://example.org/", STRICT)
    with pytest.raises(WebhookAddressError):
        addresses_of(place, STRICT, Names([answer]))


def test_plain_http_goes_to_loopback_alone() -> None:
    place = parse_url("http://example.org/", LOCAL)
    with pytest.raises(WebhookAddressError):
        addresses_of(place, LOCAL, Names(["93.184.215.14"]))
    assert addresses_of(place, LOCAL, Names(["127.0.0.1"])) == ("127.0.0.1",)


def test_an_address_needs_no_resolver() -> None:
    names = Names()
    place = parse_url("https://93.184.215.14/", STRICT)
    assert addresses_of(place, STRICT, names) == ("93.184.215.14",)
    assert names.asked == []


def test_a_name_may_have_no_address_now() -> None:
    def away(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    place = parse_url("https://example.org/", STRICT)
    for resolve in (away, Names([])):
        with pytest.raises(UnresolvedError):
            addresses_of(place, STRICT, resolve)


def test_a_name_with_very_many_addresses_gets_a_few_chances() -> None:
    many = [f"93.184.215.{n}" for n in range(1, 30)]
    place = parse_url("https://example.org/", STRICT)
    assert addresses_of(place, STRICT, Names(many)) == tuple(many[:MAX_ADDRESSES])


def test_this_machines_resolver_knows_this_machine() -> None:
    assert "127.0.0.1" in resolve_by_system("127.0.0.1", 80)
