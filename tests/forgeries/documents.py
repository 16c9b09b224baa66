"""Forged documents that a reader holds: policies, trusted roots, manifests, lists of runtimes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from assay.canonical import canonical_json
from tests.forgeries import honest
from tests.forgeries.forms import Listed, Maybe, Obj, broken, forged
from tests.forgeries.lies import (
    MALFORMED,
    OK,
    USAGE,
    Lie,
    base64_of,
    bound,
    constant,
    digest,
    path,
    spelled,
    wrong_types,
)
from tests.forgeries.notes import W1, Made, spellings
from tests.forgeries.question import Asker, Question
from tests.forgeries.statements import RUNTIME


def questions() -> Iterator[Question]:
    """Forged documents, read and nothing more."""
    yield from _policies()
    yield from _trusted_roots()
    yield from _manifests()
    yield from _runtimes()


# ------------------------------------------------------------------ policy


def _policies() -> Iterator[Question]:
    asker = Asker(artefact="policy", kind="policy")
    log, first, second = (honest.vkey(name) for name in ("log", W1, "witness2"))
    known = f"log {log} https://example.org/log\nwitness a {first}\nwitness b {second}\n"
    yield asker.honest(honest.POLICY)
    for name, text in {
        "has tabs and spaces": f" \tlog\t {log} \t\nquorum  none \n",
        "has comments and empty lines": f"# x\n\n \t\n  # {log}\nquorum none\n",
        "has bytes that are not UTF-8": "# \udcff\nquorum none\n",
        "has a group in a group": f"{known}group g any a\ngroup h all g b\nquorum h\n",
        "has a witness for a quorum": f"{known}quorum a\n",
        "has a URL that nobody reads": f"log {log} nonsense\nquorum none\n",
        "has a name in other letters": f"witness \u00e9 {first}\nquorum \u00e9\n",
        "is of a witness alone": f"witness a {first}\nquorum a\n",
    }.items():
        yield asker.honest(text.encode("utf-8", "surrogateescape"), name)
    yield from asker.about(_policy_lies(known, log, first, second))


def _policy_lies(known: str, log: str, first: str, second: str) -> Made:
    for what, wrong in spellings(base64_of(), log.split("+", 2)[2]):
        if wrong.isascii() and " " not in wrong:
            made = f"log {log.rpartition('+')[0]}+{wrong}\nquorum none\n"
            yield f"log {what}", made.encode(), MALFORMED
    for what, text in {
        "is empty": "",
        "has no quorum": known,
        "has two quorums": "quorum none\nquorum none\n",
        "has a quorum of nobody known": f"{known}quorum c\n",
        "has a quorum before its witness": f"quorum a\nwitness a {first}\n",
        "has a quorum without a name": "quorum\n",
        "has a quorum of two": f"{known}quorum a b\n",
        "has no newline at its end": "quorum none",
        "has lines for another system": "quorum none\r\n",
        "has a NUL": "quorum none\0\n",
        "has a vertical tab": "quorum\x0bnone\n",
        "has a DEL": "quorum none\x7f\n",
        "has an unknown line": "origin x\nquorum none\n",
        "has a line in capitals": f"LOG {log}\nquorum none\n",
        "has a comment after a line": "quorum none # x\n",
        "has a log without a key": "log\nquorum none\n",
        "has a log with two URLs": f"log {log} x y\nquorum none\n",
        "has a witness for a log": f"log {first}\nquorum none\n",
        "has a log for a witness": f"witness a {log}\nquorum none\n",
        "has a log twice": f"log {log}\nlog {log}\nquorum none\n",
        "has a witness without a name": f"witness {first}\nquorum none\n",
        "has a key twice": f"witness a {first}\nwitness b {first}\nquorum none\n",
        "has a name twice": f"witness a {first}\nwitness a {second}\nquorum none\n",
        "has a witness named none": f"witness none {first}\nquorum none\n",
        "has a group named none": f"{known}group none any a\nquorum none\n",
        "has a group named as a witness": f"{known}group a any b\nquorum none\n",
        "has a group of nobody": f"{known}group g any\nquorum none\n",
        "has a group of itself": f"{known}group g any g\nquorum g\n",
        "has a group of a later one": f"{known}group g any h\ngroup h any a\nquorum g\n",
        "has a member twice in a group": f"{known}group g 2 a a\nquorum g\n",
        "has a member in two groups": f"{known}group g any a\ngroup h any a\nquorum g\n",
        "asks for none of a group": f"{known}group g 0 a b\nquorum g\n",
        "asks for more than there are": f"{known}group g 3 a b\nquorum g\n",
        "asks for a number with a zero": f"{known}group g 02 a b\nquorum g\n",
        "asks for a number with a sign": f"{known}group g +2 a b\nquorum g\n",
        "asks for a negative number": f"{known}group g -1 a b\nquorum g\n",
        "asks for other digits": f"{known}group g \u0662 a b\nquorum g\n",
        "asks for a word": f"{known}group g most a b\nquorum g\n",
        "asks for an endless number": f"{known}group g {'9' * 5000} a b\nquorum g\n",
        "is too long": "#" * 2**18 + "\nquorum none\n",
    }.items():
        yield what, text.encode(), MALFORMED


# ------------------------------------------------------------------ trusted root


def _base_url(value: str) -> Iterator[Lie]:
    yield from wrong_types("text")
    for name, wrong in {
        "is empty": "",
        "is a host only": "ledger.example.org",
        "is of another scheme": value.replace("https", "ftp"),
        "has its host in capitals": value.replace("ledger", "Ledger"),
        "has no host": "https:///log",
        "has a user": value.replace("//", "//x@"),
        "has a query": f"{value}?x",
        "has a fragment": f"{value}#x",
        "has a space": f"{value} ",
        "has a newline": f"{value}\n",
        "has a host with an underscore": value.replace("ledger", "led_ger"),
        "has a host that ends in a full stop": value.replace(".org", ".org."),
        "has a host beyond ASCII": value.replace("ledger", "l\u00e9dger"),
        "has another host than its id": value.replace("ledger", "ledger2"),
    }.items():
        yield Lie(name, spelled(wrong))


def _instant(value: str) -> Iterator[Lie]:
    yield from wrong_types("text")
    for name, wrong in {
        "is empty": "",
        "is a day": "2026-01-01",
        "has an offset": "2026-01-01T00:00:00+00:00",
        "is in small letters": "2026-01-01t00:00:00z",
        "is the 30th of February": "2026-02-30T00:00:00Z",
        "is at 24 o'clock": "2026-01-01T24:00:00Z",
        "is in a leap second": "2016-12-31T23:59:60Z",
        "is in the year 0": "0000-01-01T00:00:00Z",
        "has no digits after its point": "2026-01-01T00:00:00.Z",
        "has ten digits after its point": "2026-01-01T00:00:00.0123456789Z",
        "has wide digits": "\uff12026-01-01T00:00:00Z",
        "ends in a newline": f"{value}\n",
    }.items():
        yield Lie(name, spelled(wrong))


def _empty_list(value: list[Any]) -> Iterator[Lie]:
    yield from wrong_types("list")
    yield Lie("has an item", "[{}]")


_ROOT = Obj(
    mediaType=constant("application/vnd.dev.sigstore.trustedroot+json;version=0.2"),
    certificateAuthorities=Maybe(_empty_list, absent=OK),
    ctlogs=Maybe(_empty_list, absent=OK),
    timestampAuthorities=Maybe(_empty_list, absent=OK),
    tlogs=Listed(
        Obj(
            baseUrl=_base_url,
            hashAlgorithm=constant("SHA2_512"),
            publicKey=Obj(
                rawBytes=bound(base64_of(44), MALFORMED),  # of another type, by its second byte
                keyDetails=constant("PKIX_ECDSA_P256_SHA_256"),
                validFor=Obj(start=_instant),
            ),
            logId=Obj(keyId=bound(base64_of(32), MALFORMED)),  # it is computed
        ),
        short=USAGE,  # no log is trusted: nothing can be asked
        long=MALFORMED,
    ),
)


def _trusted_roots() -> Iterator[Question]:
    asker = Asker(artefact="trusted root", kind="trusted-root")
    data = honest.TRUSTED_ROOT
    value = json.loads(data)
    yield asker.honest(data)
    yield from asker.about(forged(_ROOT, value, OK))
    yield from asker.about(broken(data))
    log = value["tlogs"][0]
    key = log["publicKey"]

    def with_log(**changed: Any) -> bytes:
        return canonical_json({**value, "tlogs": [{**log, **changed}]})

    for name, url in {
        "a port": "https://ledger.example.org:8000/log",
        "a deeper path": "https://ledger.example.org/a/b-c_d~e.f/log/",
        "no path": "https://ledger.example.org",
        "http": "http://ledger.example.org/log",
    }.items():
        yield asker.honest(with_log(baseUrl=url), f"its URL has {name}")
    ended = {**key, "validFor": {"start": "2025-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}}
    yield asker.ask("a key has an end", with_log(publicKey=ended), MALFORMED)
    fine = {**key, "validFor": {"start": "2025-01-01T00:00:00.123456789Z"}}
    yield asker.honest(with_log(publicKey=fine), "a start has nanoseconds")
    both = [json.loads(honest.trusted_root(name))["tlogs"][0] for name in ("log", "other_log")]
    yield asker.honest(canonical_json({**value, "tlogs": both}), "two logs of one host")
    yield asker.ask("whole is too long", data + b" " * 2**20, MALFORMED)


# ------------------------------------------------------------------ manifest


def _manifests() -> Iterator[Question]:
    """A manifest has one spelling; anything else is none."""
    asker = Asker(artefact="manifest", kind="manifest")
    items = honest.FOLDER.to_list()
    data = canonical_json(items)
    yield asker.honest(data)
    resource = Obj(algorithm=constant("sha512"), digest=digest, name=path)
    form = Listed(resource, short=OK, long=MALFORMED)
    yield from asker.about(forged(form, items, OK))
    yield from asker.about(broken(data))
    file = {"algorithm": "sha256", "digest": "ab" * 32}
    for name, names, family in (
        ("sorted by code point, not by UTF-16", ["\uff5e", "\U0001f600"], OK),
        ("sorted by UTF-16", ["\U0001f600", "\uff5e"], MALFORMED),
        ("in another order", ["b", "a"], MALFORMED),
        ("with a file in a folder of its name", ["a", "a/b"], MALFORMED),
        ("with a name that goes before a folder's", ["a-", "a/b"], OK),
        ("of one file named .", ["."], "refused"),
        ("as deep as it may be", ["/".join("a" * 32)], OK),
        ("with a segment as long as it may be", ["a" * 255], OK),
        ("with a name as long as it may be", ["/".join(["a" * 204] * 5)], OK),
        ("with a name of a letter more", ["/".join(["a" * 204] * 4 + ["a" * 205])], MALFORMED),
        ("of .git", [".git/config"], OK),
        ("of nothing", [], MALFORMED),
    ):
        made = canonical_json([{**file, "name": item} for item in names])
        yield asker.ask(name, made, family)
    for name, made in {
        "with a space": data.replace(b":", b": ", 1),
        "with a newline after it": data + b"\n",
        "with an escape": data.replace(b"README", b"\\u0052EADME"),
        "with its keys in another order": json.dumps(
            [{"name": item["name"], **item} for item in items], separators=(",", ":")
        ).encode(),
        "with a file too many": canonical_json(
            [{**file, "name": f"{number:05}"} for number in range(10_001)]
        ),
    }.items():
        yield asker.ask(name, made, MALFORMED)


# ------------------------------------------------------------------ runtimes


def _runtimes() -> Iterator[Question]:
    """The items of a registry's list of runtimes."""
    for kind, runtime in (("portable", honest.RUNTIME), ("native", honest.NATIVE)):
        asker = Asker(artefact=f"{kind} runtime", kind="runtime")
        value = runtime.to_dict()
        yield asker.honest(canonical_json(value))
        yield from asker.about(forged(RUNTIME, value, OK))
    yield from Asker(artefact="runtime", kind="runtime").about(broken(canonical_json(value)))
