"""Whom to believe: logs, witnesses and the quorum among them.

Two documents are pinned by the reader, never taken from the log that is checked:

- the **policy** (C2SP tlog-policy) names logs, witnesses and how many of which must have cosigned;
- the **trusted root** (Sigstore TrustedRoot v0.1) names the logs for stock clients, and us.

The rules:

1. A policy is a list of bytes, not of characters: names are compared as bytes. A name is defined
   before it is used, a witness or group is a member once, no key stands twice.
2. A quorum that cannot be computed does not exist: exactly one `quorum` line, `none` said aloud.
3. The origin of a log in a trusted root is the host name of its base URL, and its id must be the
   one that its origin and key give.
4. `verify_checkpoint` fails closed: the policy's quorum is met, or there is no verified checkpoint.

    policy = parse_policy(path_of_the_pinned_policy.read_bytes())
    verify_checkpoint(note, origin="ledger.example.org", log=policy.logs[0].vkey, policy=policy)
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from assay.canonical import (
    canonical_json,
    decode_base64,
    encode_base64,
    parse_decimal,
    parse_json,
)
from assay.checkpoint import VerifiedCheckpoint, is_origin, parse_checkpoint
from assay.errors import FormatError, MisuseError, VerificationError
from assay.limits import LIMITS
from assay.merkle import EMPTY_ROOT
from assay.note import (
    COSIGNATURE,
    ED25519,
    KEY_BYTES,
    VKey,
    log_id,
    open_note,
    parse_note,
    vkey_for,
)

NO_QUORUM = "none"
TRUSTED_ROOT_TYPE = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
SIGNING_CONFIG_TYPE = "application/vnd.dev.sigstore.signingconfig.v0.2+json"
_OTHER_AUTHORITIES = ("certificateAuthorities", "ctlogs", "timestampAuthorities")
_SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")  # RFC 8410: the only DER of such a key
_FORBIDDEN = re.compile(rb"[^\t\n\x20-\x7e\x80-\xff]")
_BASE_URL = re.compile(r"https?://(?P<host>[^/:]+)(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~-]+)*/?")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyKey:
    """The key of a log or witness, and its URL or `""`."""

    vkey: VKey
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of witnesses and groups, of which `threshold` must have cosigned."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TlogPolicy:
    """A parsed policy; `groups` are in the order of their definition, members first."""

    logs: tuple[PolicyKey, ...]
    witnesses: Mapping[str, PolicyKey]
    groups: Mapping[str, Group]
    quorum: str

    def quorum_met(self, names: Collection[str]) -> bool:
        """Say whether the witnesses `names`, as the policy calls them, are enough."""
        met = {name for name in names if name in self.witnesses}
        for name, group in self.groups.items():
            if len(met.intersection(group.members)) >= group.threshold:
                met.add(name)
        return self.quorum == NO_QUORUM or self.quorum in met


def parse_policy(text: bytes | str) -> TlogPolicy:
    """Parse a policy in the format of C2SP tlog-policy.

    Raises:
        FormatError: anything that the format does not allow; the path names the line.
    """
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    if len(data) > LIMITS.policy:
        raise FormatError(f"a policy is at most {LIMITS.policy} bytes")
    if _FORBIDDEN.search(data):
        raise FormatError("a policy has no control character but tab and newline")
    if not data.endswith(b"\n"):
        raise FormatError("the last line of a policy ends in a newline")
    builder = _PolicyBuilder()
    # Bytes that are not UTF-8 stay apart as surrogates, so names compare as bytes do.
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    for number, line in enumerate(lines, start=1):
        words = [word for word in re.split(r"[ \t]+", line) if word]
        if words and not words[0].startswith("#"):
            builder.add(words, f"line {number}")
    return builder.finish()


class _PolicyBuilder:
    """What the lines so far define."""

    def __init__(self) -> None:
        self._logs: list[PolicyKey] = []
        self._witnesses: dict[str, PolicyKey] = {}
        self._groups: dict[str, Group] = {}
        self._quorum: str | None = None
        self._keys: set[bytes] = set()
        self._members: set[str] = set()

    def add(self, words: Sequence[str], path: str) -> None:
        match words:
            case ["log", vkey, *url] if len(url) < 2:
                self._logs.append(self._key(vkey, url, ED25519, path))
            case ["witness", name, vkey, *url] if len(url) < 2:
                self._check_new(name, path)
                self._witnesses[name] = self._key(vkey, url, COSIGNATURE, path)
            case ["group", name, threshold, *members] if members:
                self._check_new(name, path)
                self._groups[name] = self._group(threshold, members, path)
            case ["quorum", name]:
                if self._quorum is not None:
                    raise FormatError("a policy has one quorum", path)
                if name != NO_QUORUM:
                    self._check_defined(name, path)
                self._quorum = name
            case _:
                raise FormatError("not a line of a policy", path)

    def _key(self, text: str, url: Sequence[str], kind: int, path: str) -> PolicyKey:
        vkey = VKey.parse(text, path)
        if vkey.kind != kind:
            raise FormatError(f"the key has type {vkey.kind:02x}, not {kind:02x}", path)
        if vkey.key in self._keys:
            raise FormatError("the key stands twice", path)
        self._keys.add(vkey.key)
        return PolicyKey(vkey=vkey, url="".join(url))

    def _group(self, threshold: str, members: Sequence[str], path: str) -> Group:
        for member in members:
            self._check_defined(member, path)
            if member in self._members:
                raise FormatError(f"{member!r} is a member twice", path)
            self._members.add(member)
        named = {"any": 1, "all": len(members)}
        needed = named[threshold] if threshold in named else parse_decimal(threshold, path)
        if not 1 <= needed <= len(members):
            raise FormatError(f"{needed} of {len(members)} members", path)
        return Group(threshold=needed, members=tuple(members))

    def _check_new(self, name: str, path: str) -> None:
        if name == NO_QUORUM or name in self._witnesses or name in self._groups:
            raise FormatError(f"the name {name!r} is taken", path)

    def _check_defined(self, name: str, path: str) -> None:
        if name not in self._witnesses and name not in self._groups:
            raise FormatError(f"the name {name!r} is not defined above", path)

    def finish(self) -> TlogPolicy:
        if self._quorum is None:
            raise FormatError("a policy has a quorum line")
        return TlogPolicy(
            logs=tuple(self._logs),
            witnesses=self._witnesses,
            groups=self._groups,
            quorum=self._quorum,
        )


def render_policy(policy: TlogPolicy) -> bytes:
    """Return `policy` as a file; parsing it gives an equal policy.

    Raises:
        FormatError: a policy that no file can hold.
    """
    lines = [f"log {log.vkey} {log.url}" for log in policy.logs]
    lines += [f"witness {name} {key.vkey} {key.url}" for name, key in policy.witnesses.items()]
    lines += [
        f"group {name} {group.threshold} {' '.join(group.members)}"
        for name, group in policy.groups.items()
    ]
    lines.append(f"quorum {policy.quorum}")
    text = "".join(line.rstrip(" ") + "\n" for line in lines)
    if parse_policy(text) != policy:
        raise FormatError("no file says this policy")
    return text.encode("utf-8", "surrogateescape")


def verify_checkpoint(
    note: bytes, *, origin: str, log: VKey, policy: TlogPolicy | None
) -> VerifiedCheckpoint:
    """Verify a signed checkpoint; without a policy no witness is asked for.

    1. Note and checkpoint, syntax only.
    2. The origin is `origin`; the policy, where it names logs, names this one.
    3. Every line of the log and of the policy's witnesses verifies; the log's is there.
    4. A tree of size 0 has the root of nothing.
    5. The quorum is met.

    Whether the tree extends an earlier one is `monitor.follow`'s question.

    Raises:
        MisuseError: `log` is no Ed25519 key of type 01 named `origin`.
        FormatError: not a signed checkpoint.
        VerificationError: anything else than asked for above.
    """
    if log.kind != ED25519 or log.name != origin:
        raise MisuseError(f"{log} is no log key named {origin}")
    checkpoint = parse_checkpoint(parse_note(note).text)
    if checkpoint.origin != origin:
        raise VerificationError(
            "the checkpoint is another log's", expected=origin, found=checkpoint.origin
        )
    logs = policy.logs if policy else ()
    if logs and log not in [known.vkey for known in logs]:
        raise VerificationError(f"the policy does not name the log {log}")
    witnesses = dict(policy.witnesses) if policy else {}
    opened = open_note(note, [log, *(witness.vkey for witness in witnesses.values())])
    if log not in opened.verified:
        raise VerificationError("the log did not sign the checkpoint")
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise VerificationError(
            "the empty tree has another root",
            expected=EMPTY_ROOT.hex(),
            found=checkpoint.root.hex(),
        )
    signed = {name: key.vkey for name, key in witnesses.items() if key.vkey in opened.times}
    if policy and not policy.quorum_met(signed):
        raise VerificationError(
            "the witnesses that cosigned are no quorum",
            expected=policy.quorum,
            found=", ".join(signed) or "none",
        )
    times = tuple((vkey.name, opened.times[vkey]) for vkey in signed.values())
    return VerifiedCheckpoint(checkpoint=checkpoint, note=note, witnesses=times)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogKey:
    """A log as a trusted root names it.

    `key_id32` is the 32-byte `logId.keyId`; `start` an RFC 3339 instant in UTC.
    """

    origin: str
    base_url: str
    vkey: VKey
    key_id32: bytes
    start: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedRoot:
    """The logs that a reader knows; at least one. Those of one registry stand in their order.

    A registry has one log at a time: a later one begins when the one before it was frozen.
    """

    logs: tuple[LogKey, ...]

    @classmethod
    def parse(cls, data: bytes) -> TrustedRoot:
        """Read a trusted root, as `parse_trusted_root`."""
        return parse_trusted_root(data)

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins of the logs, in the order in which the logs stand."""
        return tuple(log.origin for log in self.logs)

    def find(self, key_id32: bytes) -> LogKey:
        """Return the log with this 32-byte id.

        Raises:
            VerificationError: the trusted root does not name it.
        """
        for log in self.logs:
            if log.key_id32 == key_id32:
                return log
        raise VerificationError("the trusted root does not name the log", found=key_id32.hex())


def log_key(base_url: str, public: Ed25519PublicKey, start: str) -> LogKey:
    """Return the log under `base_url`, whose host name is its origin.

    Raises:
        FormatError: not an http URL with a lower-case host name, or `start` is no RFC 3339 instant
            in UTC.
    """
    origin = _origin_of(base_url, "baseUrl")
    vkey = vkey_for(origin, public, ED25519)
    return LogKey(
        origin=origin,
        base_url=base_url,
        vkey=vkey,
        key_id32=log_id(origin, vkey.key),
        start=_instant(start, "start"),
    )


def parse_trusted_root(data: bytes) -> TrustedRoot:
    """Parse a Sigstore TrustedRoot v0.1 that names Ed25519 logs and nothing else.

    A time at which a key ends is refused: stock clients do not heed it, so a log key is retired by
    removing it.

    Raises:
        FormatError: another media type, unknown or missing fields, an authority that is no log, or
            a log id that origin and key do not give.
        MisuseError: it names no log.
    """
    path = "trusted root"
    root = _object(
        parse_json(data, max_bytes=LIMITS.trusted_root, path=path),
        ("mediaType", "tlogs"),
        path,
        optional=_OTHER_AUTHORITIES,
    )
    if root["mediaType"] != TRUSTED_ROOT_TYPE:
        raise FormatError(f"the media type is {TRUSTED_ROOT_TYPE}", path)
    if any(root.get(field, []) != [] for field in _OTHER_AUTHORITIES):
        raise FormatError("only logs are supported", path)
    if not isinstance(root["tlogs"], list):
        raise FormatError("tlogs is an array", path)
    if not root["tlogs"]:
        raise MisuseError("the trusted root names no log")
    logs = tuple(_log(log, f"tlogs[{number}]") for number, log in enumerate(root["tlogs"]))
    if len({log.key_id32 for log in logs}) != len(logs):
        raise FormatError("a log stands twice", path)
    return TrustedRoot(logs=logs)


def _log(value: Any, path: str) -> LogKey:
    log = _object(value, ("baseUrl", "hashAlgorithm", "publicKey", "logId"), path)
    key = _object(log["publicKey"], ("rawBytes", "keyDetails", "validFor"), f"{path}.publicKey")
    valid = _object(key["validFor"], ("start",), f"{path}.publicKey.validFor")
    key_id = _object(log["logId"], ("keyId",), f"{path}.logId")
    if log["hashAlgorithm"] != "SHA2_256" or key["keyDetails"] != "PKIX_ED25519":
        raise FormatError("a log has SHA2_256 and a key of type PKIX_ED25519", path)
    spki = decode_base64(key["rawBytes"], f"{path}.publicKey.rawBytes")
    raw = spki.removeprefix(_SPKI_PREFIX)
    if len(raw) != KEY_BYTES or not spki.startswith(_SPKI_PREFIX):
        raise FormatError("not the DER of an Ed25519 key", f"{path}.publicKey.rawBytes")
    known = log_key(log["baseUrl"], Ed25519PublicKey.from_public_bytes(raw), valid["start"])
    if decode_base64(key_id["keyId"], f"{path}.logId.keyId") != known.key_id32:
        raise FormatError("not the id that origin and key give", f"{path}.logId.keyId")
    return known


def _object(
    value: Any, required: Sequence[str], path: str, optional: Sequence[str] = ()
) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FormatError("not an object", path)
    for field in required:
        if field not in value:
            raise FormatError(f"the field {field!r} is missing", path)
    unknown = value.keys() - {*required, *optional}
    if unknown:
        raise FormatError(f"the field {min(unknown)!r} is unknown", path)
    return value


def _origin_of(base_url: object, path: str) -> str:
    match = _BASE_URL.fullmatch(base_url) if isinstance(base_url, str) else None
    if match is None or not is_origin(match["host"]):
        raise FormatError("a base URL is http(s), a host name in lower case and a path", path)
    return match["host"]


def _instant(value: object, path: str) -> str:
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        try:
            datetime.fromisoformat(value[:19])
        except ValueError:
            pass
        else:
            return value
    raise FormatError("an instant is RFC 3339 in UTC", path)


def render_trusted_root(logs: Sequence[LogKey]) -> bytes:
    """Return the TrustedRoot v0.1 that names `logs`, in a form that stock clients take."""
    tlogs = [
        {
            "baseUrl": log.base_url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": encode_base64(_SPKI_PREFIX + log.vkey.key),
                "keyDetails": "PKIX_ED25519",
                "validFor": {"start": log.start},
            },
            "logId": {"keyId": encode_base64(log.key_id32)},
        }
        for log in logs
    ]
    # The empty arrays are required by some clients.
    empty: dict[str, list[Any]] = {field: [] for field in _OTHER_AUTHORITIES}
    return canonical_json({"mediaType": TRUSTED_ROOT_TYPE, "tlogs": tlogs, **empty})


def render_signing_config(base_url: str, start: str, operator: str) -> bytes:
    """Return the SigningConfig v0.2 that sends stock clients to the log under `base_url`.

    `start` is an RFC 3339 instant in UTC, `operator` the name of who runs the log.

    Raises:
        FormatError: not such a URL or instant.
    """
    _origin_of(base_url, "url")
    service = {
        "url": base_url,
        "majorApiVersion": 2,
        "validFor": {"start": _instant(start, "start")},
        "operator": operator,
    }
    any_one = {"selector": "ANY"}
    return canonical_json(
        {
            "mediaType": SIGNING_CONFIG_TYPE,
            "rekorTlogUrls": [service],
            "rekorTlogConfig": any_one,
            "tsaConfig": any_one,
        }
    )
