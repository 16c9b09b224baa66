"""Policies, trusted roots, and the checkpoint that a reader may believe."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, strategies as st

from assay.canonical import canonical_json, parse_json
from assay.errors import FormatError, MisuseError, VerificationError
from assay.note import COSIGNATURE, ED25519, VKey, log_id, vkey_for
from assay.policy import (
    Group,
    LogKey,
    PolicyKey,
    TlogPolicy,
    log_key,
    parse_policy,
    parse_trusted_root,
    render_policy,
    render_signing_config,
    render_trusted_root,
    verify_checkpoint,
)
from tests.assay.vectors import Row, values, vector

ORIGIN = "ledger.example.org"
START = "2025-01-01T00:00:00Z"


def public(number: int, kind: int = COSIGNATURE, name: str = "") -> VKey:
    signer = Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))
    return vkey_for(name or f"witness.example/{number}", signer.public_key(), kind)


def policy_of(*lines: str, witnesses: int = 4) -> TlogPolicy:
    defined = [f"witness w{number} {public(number)}" for number in range(witnesses)]
    return parse_policy("".join(f"{line}\n" for line in (*defined, *lines)))


def test_the_vectors_policy_is_read(
    policy: TlogPolicy, log_vkey: VKey, witness_vkeys: list[VKey]
) -> None:
    assert policy.logs == (PolicyKey(vkey=log_vkey, url="https://ledger.example.org/log"),)
    assert list(policy.witnesses) == ["w1", "w2", "w3"]
    assert [key.vkey for key in policy.witnesses.values()] == witness_vkeys
    assert policy.witnesses["w1"].url == "https://witness.example.net/"
    assert policy.groups == {"two-of-three": Group(threshold=2, members=("w1", "w2", "w3"))}
    assert parse_policy(render_policy(policy)) == policy


def test_two_of_three_witnesses_are_enough(policy: TlogPolicy) -> None:
    assert policy.quorum_met({"w1", "w3"})
    assert policy.quorum_met(["w1", "w2", "w3"])
    assert not policy.quorum_met({"w1"})
    assert not policy.quorum_met([])


def test_mallory_cannot_pass_the_name_of_a_group_for_a_witness(policy: TlogPolicy) -> None:
    assert not policy.quorum_met({"two-of-three", "w4", "none"})


def test_groups_of_groups_are_counted() -> None:
    policy = policy_of(
        "group left any w0 w1", "group right all w2 w3", "group both 2 left right", "quorum both"
    )
    assert policy.quorum_met({"w1", "w2", "w3"})
    assert not policy.quorum_met({"w0", "w1", "w2"})
    assert parse_policy(render_policy(policy)) == policy


def test_one_witness_may_be_the_quorum() -> None:
    policy = policy_of("quorum w0")
    assert policy.quorum_met({"w0"})
    assert not policy.quorum_met({"w1", "w2", "w3"})


def test_none_asks_for_nobody() -> None:
    assert policy_of("quorum none", witnesses=0).quorum_met(set())


def test_names_that_are_not_utf8_are_compared_as_bytes() -> None:
    lines = f"witness \xff {public(0)}\nwitness \xfe {public(1)}\nquorum \xff\n".encode("latin-1")
    policy = parse_policy(lines)
    assert len(policy.witnesses) == 2
    assert render_policy(policy) == lines


@pytest.mark.parametrize(
    "lines",
    [
        ("quorum none", ""),  # an empty line is allowed, as the next row's lines are not
        ("log", "quorum none"),
        ("witness w9", "quorum none"),
        (f"witness w0 {public(9)}", "quorum none"),
        (f"witness none {public(9)}", "quorum none"),
        (f"witness w9 {public(9)} a b", "quorum none"),
        (f"witness w9 {public(0)}", "quorum none"),
        (f"log {public(0, ED25519)}", "quorum none"),
        (f"log {public(9)}", "quorum none"),
        (f"log {public(9, ED25519)} a b", "quorum none"),
        ("group g all", "quorum none"),
        ("group g 01 w0 w1", "quorum none"),
        ("group g some w0 w1", "quorum none"),
        ("group w1 any w0", "quorum none"),
        ("group g any g", "quorum none"),
        ("group g any none", "quorum none"),
        ("quorum",),
        ("quorum w0 w1",),
        ("quorum none", "quorum none"),
        ("Quorum none",),
        ("quorum\u00a0none",),
    ],
)
def test_what_the_format_does_not_allow_is_refused(lines: tuple[str, ...]) -> None:
    if lines == ("quorum none", ""):
        assert policy_of(*lines).quorum == "none"
        return
    with pytest.raises(FormatError):
        policy_of(*lines)


def test_the_error_names_the_line() -> None:
    with pytest.raises(FormatError) as caught:
        policy_of("# a comment", "quorum w9")
    assert caught.value.path == "line 6"


def test_a_cut_or_oversized_policy_is_refused() -> None:
    with pytest.raises(FormatError, match="newline"):
        parse_policy(b"quorum none")
    with pytest.raises(FormatError, match="at most"):
        parse_policy(b"#" * 2**18 + b"\nquorum none\n")


@pytest.mark.property
@given(st.binary(max_size=60))
def test_any_bytes_are_a_policy_that_reads_back_or_none(data: bytes) -> None:
    data = f"witness a {public(0)}\n".encode() + data + b"\nquorum a\n"
    try:
        policy = parse_policy(data)
    except FormatError:
        return
    assert parse_policy(render_policy(policy)) == policy


def test_a_policy_that_no_file_can_hold_is_not_written() -> None:
    with pytest.raises(FormatError):
        render_policy(
            TlogPolicy(
                logs=(),
                witnesses={"a": PolicyKey(vkey=public(0), url="two words")},
                groups={},
                quorum="a",
            )
        )
    with pytest.raises(FormatError, match="no file says"):
        render_policy(
            TlogPolicy(
                logs=(PolicyKey(vkey=public(0, ED25519), url="https://x "),),
                witnesses={},
                groups={},
                quorum="none",
            )
        )
    late = {
        "outer": Group(threshold=1, members=("inner",)),
        "inner": Group(threshold=1, members=("a",)),
    }
    with pytest.raises(FormatError):
        render_policy(
            TlogPolicy(
                logs=(), witnesses={"a": PolicyKey(vkey=public(0))}, groups=late, quorum="outer"
            )
        )


def test_the_vectors_checkpoint_is_believed(policy: TlogPolicy, log_vkey: VKey) -> None:
    note = vector("checkpoint")
    verified = verify_checkpoint(note, origin=ORIGIN, log=log_vkey, policy=policy)
    assert verified.checkpoint.size == values()["log"]["size"]
    assert verified.checkpoint.root.hex() == values()["log"]["root"]
    assert verified.note == note
    assert verified.witnesses == (
        ("witness.example.net/w1", 1767225600),
        ("witness.example.com/w2", 1767225601),
    )
    for name in ("checkpoint.200", "checkpoint.late", "checkpoint.fork"):
        verify_checkpoint(vector(name), origin=ORIGIN, log=log_vkey, policy=policy)


def test_without_a_policy_no_witness_is_asked_for(log_vkey: VKey) -> None:
    verified = verify_checkpoint(vector("checkpoint"), origin=ORIGIN, log=log_vkey, policy=None)
    assert verified.witnesses == ()


def test_a_policy_without_logs_takes_the_log_of_the_caller(
    policy: TlogPolicy, log_vkey: VKey
) -> None:
    bare = replace(policy, logs=())
    verified = verify_checkpoint(vector("checkpoint"), origin=ORIGIN, log=log_vkey, policy=bare)
    assert len(verified.witnesses) == 2


def test_a_policy_for_other_logs_is_not_enough(
    policy: TlogPolicy, log_vkey: VKey, keys: Row
) -> None:
    other = replace(policy, logs=(PolicyKey(vkey=VKey.parse(keys["other_log"]["vkey"])),))
    with pytest.raises(VerificationError, match="does not name the log"):
        verify_checkpoint(vector("checkpoint"), origin=ORIGIN, log=log_vkey, policy=other)


def test_the_caller_names_a_log_key_of_that_origin(
    log_vkey: VKey, witness_vkeys: list[VKey]
) -> None:
    with pytest.raises(MisuseError):
        verify_checkpoint(vector("checkpoint"), origin="other", log=log_vkey, policy=None)
    witness = witness_vkeys[0]
    with pytest.raises(MisuseError):
        verify_checkpoint(vector("checkpoint"), origin=witness.name, log=witness, policy=None)


def trusted_root() -> dict[str, Any]:
    loaded: dict[str, Any] = parse_json(vector("trusted_root.json"))
    return loaded


def test_the_vectors_trusted_root_is_read_and_written(log_vkey: VKey, keys: Row) -> None:
    root = parse_trusted_root(vector("trusted_root.json"))
    key_id = bytes.fromhex(keys["log"]["log_id"])
    assert root.logs == (
        LogKey(
            origin=ORIGIN,
            base_url=values()["base_url"],
            vkey=log_vkey,
            key_id32=key_id,
            start=START,
        ),
    )
    assert root.find(key_id) == root.logs[0]
    with pytest.raises(VerificationError, match="does not name the log"):
        root.find(bytes(32))
    assert parse_json(render_trusted_root(root.logs)) == trusted_root()
    assert parse_trusted_root(render_trusted_root(root.logs)) == root


def test_the_signing_config_is_that_of_the_vectors() -> None:
    rendered = render_signing_config(values()["base_url"], START, ORIGIN)
    assert parse_json(rendered) == parse_json(vector("signing_config.json"))
    with pytest.raises(FormatError):
        render_signing_config("ledger.example.org/log", START, ORIGIN)
    with pytest.raises(FormatError):
        render_signing_config(values()["base_url"], "yesterday", ORIGIN)


def test_the_origin_is_the_bare_host_of_the_base_url() -> None:
    signer = Ed25519PrivateKey.from_private_bytes(b"a" * 32)
    log = log_key("http://localhost:8000/log/", signer.public_key(), "2025-01-01T00:00:00.125Z")
    assert log.origin == log.vkey.name == "localhost"
    assert log.key_id32 == log_id("localhost", log.vkey.key)


def test_a_trusted_root_that_omits_the_empty_arrays_is_read() -> None:
    value = trusted_root()
    for field in ("certificateAuthorities", "ctlogs", "timestampAuthorities"):
        del value[field]
    assert parse_trusted_root(canonical_json(value)).logs[0].origin == ORIGIN


def test_a_trusted_root_without_logs_is_misuse() -> None:
    with pytest.raises(MisuseError):
        parse_trusted_root(canonical_json({**trusted_root(), "tlogs": []}))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("mediaType",), "application/vnd.dev.sigstore.trustedroot.v0.2+json"),
        (("note",), ""),
        (("ctlogs",), [{}]),
        (("tlogs",), {}),
        (("tlogs", 0), []),
        (("tlogs", 0, "note"), ""),
        (("tlogs", 0, "baseUrl"), 1),
        (("tlogs", 0, "baseUrl"), "https://Ledger.example.org/log"),
        (("tlogs", 0, "baseUrl"), "https://mallory@ledger.example.org/log"),
        (("tlogs", 0, "baseUrl"), "https://ledger.example.org/log?a"),
        (("tlogs", 0, "baseUrl"), "https://other.example.org/log"),
        (("tlogs", 0, "hashAlgorithm"), "SHA2_512"),
        (("tlogs", 0, "publicKey"), None),
        (("tlogs", 0, "publicKey", "keyDetails"), "PKIX_ED25519_PH"),
        (("tlogs", 0, "publicKey", "rawBytes"), "AAAA"),
        (("tlogs", 0, "publicKey", "rawBytes"), "H/aFPv9OZUR4rB8JHurtgdIbRR7Ck4kCbnKdmKLIwOc="),
        (("tlogs", 0, "publicKey", "validFor"), {}),
        (("tlogs", 0, "publicKey", "validFor", "end"), START),
        (("tlogs", 0, "publicKey", "validFor", "start"), 0),
        (("tlogs", 0, "publicKey", "validFor", "start"), "2025-01-01"),
        (("tlogs", 0, "publicKey", "validFor", "start"), "2025-02-30T00:00:00Z"),
        (("tlogs", 0, "logId"), {}),
        (("tlogs", 0, "logId", "keyId"), "AAAA"),
    ],
)
def test_a_trusted_root_that_says_something_else_is_malformed(
    place: tuple[str | int, ...], value: object
) -> None:
    root = trusted_root()
    holder: Any = root
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = value
    with pytest.raises(FormatError):
        parse_trusted_root(canonical_json(root))


def test_a_log_may_not_stand_twice() -> None:
    root = trusted_root()
    root["tlogs"] *= 2
    with pytest.raises(FormatError, match="twice"):
        parse_trusted_root(canonical_json(root))
