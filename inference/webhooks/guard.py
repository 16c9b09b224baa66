"""Where a webhook may go: to the public Internet, and to no network behind it.

Strangers choose the address, and this machine sees networks that they do not. Each of these steps
keeps it from being sent there (server-side request forgery):

1. The address is spelled in one way: ASCII, `https`, a name or a plain IP address, no user, no
   fragment, an allowed port. What browsers would read as an IP address in disguise (`0x7f.1`,
   `2130706433`, `0177.0.0.1`) is refused, and so is a name without a dot, which a search list could
   complete.
2. The name is resolved once for each attempt, by a function that is passed in.
3. Every address that it has must be a public one, or none is used. Public is what the world can
   route to: IPv4 without the special ranges, of IPv6 only 2000::/3 without those that lead into
   IPv4 (6to4, Teredo, NAT64) or are for documents and tests.
4. The connection goes to the checked address itself (`webhooks.post`): nothing is resolved again,
   so a second answer of the name's server changes nothing. Redirects are not followed, and no proxy
   of the environment is asked.

With `Rules.loopback`, for tests and for a site on one's own machine, loopback addresses are public
too, and `http` may go there and nowhere else.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from inference.errors import WebhookAddressError

MAX_URL = 2_000
MAX_NAME = 253
MAX_ADDRESSES = 4
PORTS = (443, 80, 8443)
LOW_PORTS = 1_024
_SPELLING = re.compile(r"[\x21-\x7e]+")
_ODD = re.compile(r"[\\<>\"^`{|}]")
_PORT = re.compile(r"(?::[0-9]*)?")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
# WHATWG URL, "ends in a number": such a host is an IPv4 address or nothing.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_GLOBAL = ipaddress.IPv6Network("2000::/3")
# Refused beside what this or that Python's ipaddress module calls not global.
_NOT_GLOBAL = tuple(
    map(
        ipaddress.ip_network,
        (
            # This network; carrier-grade NAT; protocols; the 6to4 relay; benchmarks; reserved; and
            # an address at which each machine of a large cloud finds that cloud's own services.
            *("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15"),
            *("240.0.0.0/4", "168.63.129.16/32"),
            # Protocols, Teredo, ORCHID; documents; 6to4; documents.
            *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
        ),
    )
)
# ISATAP (RFC 5214): the last 32 bits are an IPv4 address behind these.
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the operator lets beside public https: loopback, and ports above 1,024."""

    loopback: bool = False
    high_ports: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A checked URL: `host` is a name or an IP address, `target` the path with its query."""

    https: bool
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Return the value of the Host header (RFC 9110, section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.https else 80) else f"{host}:{self.port}"


class UnresolvedError(Exception):
    """The name has no address now; it may have one later."""


def parse_url(url: str, rules: Rules) -> Place:
    """Return where `url` points, as far as its text tells (steps 1 and, for a literal, 3).

    Raises:
        WebhookAddressError: it may not be a webhook's; the message says why.
    """
    if not 0 < len(url) <= MAX_URL:
        raise WebhookAddressError(f"A webhook's URL has 1 to {MAX_URL} characters.")
    if not _SPELLING.fullmatch(url) or _ODD.search(url):
        raise WebhookAddressError(
            "A webhook's URL is ASCII without spaces: percent-encode its path, and write an "
            "international name in its xn-- form."
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise WebhookAddressError("A webhook's URL is not well-formed.") from None
    https = parts.scheme == "https"
    if not https and not (rules.loopback and parts.scheme == "http"):
        raise WebhookAddressError("A webhook's URL begins with https://.")
    if "@" in parts.netloc:
        raise WebhookAddressError(
            "A webhook's URL has no user name and password: check the signature instead."
        )
    if "#" in url:
        raise WebhookAddressError("A webhook's URL has no fragment.")
    place = Place(
        https=https,
        host=_host(parts, rules),
        port=(443 if https else 80) if port is None else port,
        target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    )
    _check_port(place, rules)
    literal = _literal(place.host)
    if literal is not None:
        check_address(literal, place, rules)
    return place


def _host(parts: SplitResult, rules: Rules) -> str:
    host = (parts.hostname or "").lower()
    if parts.netloc.startswith("["):
        after = parts.netloc.rpartition("]")[2]
        if not isinstance(_literal(host), ipaddress.IPv6Address) or not _PORT.fullmatch(after):
            raise WebhookAddressError("The host in brackets is no IPv6 address.")
        return host
    labels = host.split(".")
    if len(host) > MAX_NAME or not all(map(_LABEL.fullmatch, labels)):
        raise WebhookAddressError("A webhook's URL names a host: letters, digits, hyphens, dots.")
    if _NUMBER.fullmatch(labels[-1]):
        if _literal(host) is None:
            raise WebhookAddressError("Write an IPv4 address as four decimal numbers.")
    elif len(labels) == 1 and not (rules.loopback and host == "localhost"):
        raise WebhookAddressError("A webhook's host is a full name, with a dot in it.")
    return host


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _check_port(place: Place, rules: Rules) -> None:
    high = place.port > LOW_PORTS and (rules.high_ports or rules.loopback)
    if place.port not in PORTS and not high:
        also = f", or above {LOW_PORTS}" if rules.high_ports else ""
        ports = ", ".join(map(str, PORTS))
        raise WebhookAddressError(f"A webhook's port is one of {ports}{also}.")


def check_address(address: Address, place: Place, rules: Rules) -> None:
    """Refuse an IP address that is not public (step 3).

    Raises:
        WebhookAddressError: it is not. The message does not tell the address: whoever made the name
            need not learn what it means in this network.
    """
    if rules.loopback and address.is_loopback:
        return
    if not place.https or not is_public(address):
        raise WebhookAddressError(f"{place.host} is not at a public address.", host=place.host)


def is_public(address: Address) -> bool:
    """Tell whether everybody on the Internet reaches the same machine at `address`."""
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if any(address in network for network in _NOT_GLOBAL):
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return True
    if address.scope_id is not None or address not in _GLOBAL:
        return False
    return (int(address) >> 32) & 0xFFFF_FFFF not in _ISATAP


def resolve_by_system(host: str, port: int) -> Sequence[str]:
    """Return the addresses of `host` as this machine's resolver gives them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(item[4][0]) for item in found]


def addresses_of(place: Place, rules: Rules, resolve: Resolve) -> tuple[str, ...]:
    """Return at most `MAX_ADDRESSES` checked addresses of `place`, to be used as they are.

    Raises:
        UnresolvedError: the name has none.
        WebhookAddressError: one of them is not public.
    """
    if _literal(place.host) is not None:
        texts: Sequence[str] = [place.host]
    else:
        try:
            texts = resolve(place.host, place.port)
        except (OSError, UnicodeError) as error:
            raise UnresolvedError(place.host) from error
    found = []
    for text in dict.fromkeys(texts):
        address = _literal(text)
        if address is None:
            raise WebhookAddressError(f"{place.host} is not at an IP address.", host=place.host)
        check_address(address, place, rules)
        found.append(str(address))
    if not found:
        raise UnresolvedError(place.host)
    return tuple(found[:MAX_ADDRESSES])
