"""Signed notes: a text, and lines that sign it (C2SP signed-note, tlog-cosignature).

The rules:

1. The text is everything before the last empty line, its last newline included, the empty line
   not. UTF-8, no byte below 0x20 but newline.
2. A signature line is `— NAME BASE64`, one spelling each. The first four bytes are the key id.
3. A key is the pair (name, id). Lines of unknown pairs are ignored; every line of a known pair must
   verify, or the note is refused; a key counts once.
4. A plain signature (type 01) covers the text; a cosignature (type 04) covers a header with its
   time and then the text. The types have different key ids, so neither passes for the other.

    opened = open_note(data, [log_vkey, *witness_vkeys])
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from assay.canonical import decode_base64, encode_base64
from assay.digests import sha256
from assay.errors import FormatError, MisuseError, VerificationError
from assay.limits import LIMITS

ED25519 = 1
COSIGNATURE = 4
KEY_BYTES = 32
ID_BYTES = 4
MAX_TIME = 2**63 - 1
_TIME_BYTES = 8
_SIGNATURE_BYTES = 64
_DASH = "— "
_CONTROL = re.compile(rb"[\x00-\x09\x0b-\x1f]")
_NAME = re.compile(r"[^\s+\x00-\x1f\ud800-\udfff]+")  # \s: every Unicode space
_HEX_ID = re.compile(r"[0-9a-f]{8}")
# Receipts of one second share a checkpoint: what was parsed and verified is kept for the next one.
# Only what held is kept, and of long messages nothing, so that strangers cannot fill the memory.
_KEPT_NOTES = 16
_KEPT_SIGNATURES = 256
_KEPT_BYTES = 4_096


def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class VKey:
    """A verifier key: name, 4-byte id, type (`ED25519` or `COSIGNATURE`), 32-byte public key."""

    name: str
    key_id: bytes
    kind: int
    key: bytes

    @classmethod
    def parse(cls, text: str, path: str = "") -> VKey:
        """Return the key that `NAME+ID+BASE64` spells; the id is computed again.

        Raises:
            FormatError: another spelling, a type other than 01 and 04, or an id of another key.
        """
        parts = text.split("+", 2)
        if len(parts) != 3 or not _is_name(parts[0]) or _HEX_ID.fullmatch(parts[1]) is None:
            raise FormatError("a vkey is NAME+ID+KEY", path)
        data = decode_base64(parts[2], path)
        if len(data) != 1 + KEY_BYTES or data[0] not in (ED25519, COSIGNATURE):
            raise FormatError("a vkey has type 01 or 04 and 32 bytes of key", path)
        vkey = _vkey(parts[0], data[0], data[1:])
        if vkey.key_id.hex() != parts[1]:
            raise FormatError("the id of the vkey belongs to another key", path)
        return vkey

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.kind]) + self.key)}"


def _key_digest(name: str, kind: int, key: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + bytes([kind]) + key)


def _vkey(name: str, kind: int, key: bytes) -> VKey:
    key_id = _key_digest(name, kind, key)[:ID_BYTES]
    return VKey(name=name, key_id=key_id, kind=kind, key=key)


def vkey_for(name: str, public: Ed25519PublicKey, kind: int) -> VKey:
    """Return the verifier key of `public` under `name`, as `ED25519` or `COSIGNATURE`.

    Raises:
        MisuseError: a name that no signature line can carry, or another type.
    """
    if not _is_name(name):
        raise MisuseError(f"{name!r} is no key name: empty, or with a space or a plus sign")
    if kind not in (ED25519, COSIGNATURE):
        raise MisuseError(f"keys of type {kind:#04x} are not made here")
    return _vkey(name, kind, public.public_bytes(Encoding.Raw, PublicFormat.Raw))


def log_id(origin: str, public_raw: bytes) -> bytes:
    """Return the 32-byte id of a log in Rekor's formats: SHA-256(origin ‖ 0A ‖ 01 ‖ key)."""
    return _key_digest(origin, ED25519, public_raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureLine:
    """One signature line; `payload` is what follows the 4-byte `key_id`, at least one byte."""

    name: str
    key_id: bytes
    payload: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {encode_base64(self.key_id + self.payload)}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A text, which ends in a newline, and its signature lines; nothing is verified."""

    text: str
    lines: tuple[SignatureLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedNote:
    """A text and the known keys that signed it; `times` are POSIX seconds of cosignatures."""

    text: str
    verified: tuple[VKey, ...]
    times: Mapping[VKey, int]


@lru_cache(maxsize=_KEPT_NOTES)
def parse_note(data: bytes) -> Note:
    """Parse a signed note, syntax only.

    Raises:
        FormatError: above 1 MB, not UTF-8, a control character, no empty line, no signature line,
            more than 100 of them, or a line that is not one.

    C2SP signed-note, "Format".
    """
    if len(data) > LIMITS.note:
        raise FormatError(f"a note is at most {LIMITS.note} bytes")
    if _CONTROL.search(data):
        raise FormatError("a note has no control character but newline")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError("a note is UTF-8") from error
    text, empty_line, tail = whole.rpartition("\n\n")
    if not empty_line or not tail.endswith("\n"):
        raise FormatError("a note is a text, an empty line and lines of signatures")
    lines = tail[:-1].split("\n")
    if len(lines) > LIMITS.note_signatures:
        raise FormatError(f"a note has at most {LIMITS.note_signatures} signature lines")
    return Note(text=text + "\n", lines=tuple(parse_line(line) for line in lines))


def parse_line(line: str) -> SignatureLine:
    """Parse one signature line, without its newline.

    Raises:
        FormatError: not `— NAME BASE64` with more than a key id.
    """
    name, _, base64 = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not _is_name(name):
        raise FormatError("a signature line is a dash, a key name and base64")
    data = decode_base64(base64)
    if len(data) <= ID_BYTES:
        raise FormatError("a signature line holds a key id and a signature")
    return SignatureLine(name=name, key_id=data[:ID_BYTES], payload=data[ID_BYTES:])


def render(note: Note) -> bytes:
    """Return the bytes of `note`.

    Raises:
        MisuseError: a text without newline at its end, or no signature line.
    """
    _check_text(note.text)
    if not note.lines:
        raise MisuseError("a note has a signature line")
    return (note.text + "\n" + "".join(map(str, note.lines))).encode()


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise MisuseError("a note's text ends in a newline")


def open_note(data: bytes, vkeys: Sequence[VKey]) -> OpenedNote:
    """Parse a note and verify every line of the keys `vkeys`; at least one must have signed.

    Of repeated cosignatures of one key the earliest time counts: all cover the same text.

    Raises:
        MisuseError: no keys, or two keys with the same name and id.
        FormatError: not a note.
        VerificationError: a line of a known key does not verify, or no known key signed.
    """
    known: dict[tuple[str, bytes], VKey] = {}
    for vkey in vkeys:
        same = known.setdefault((vkey.name, vkey.key_id), vkey)
        if same is not vkey and same != vkey:
            raise MisuseError(f"two keys are named {vkey.name} and have the same id")
    if not known:
        raise MisuseError("a note cannot be opened without keys")
    note = parse_note(data)
    verified: dict[VKey, None] = {}
    times: dict[VKey, int] = {}
    for line in note.lines:
        signer = known.get((line.name, line.key_id))
        if signer is None:
            continue
        time = _verify_line(note.text, line, signer)
        verified[signer] = None
        if time is not None:
            times[signer] = min(time, times.get(signer, time))
    if not verified:
        raise VerificationError("no known key signed the note")
    return OpenedNote(text=note.text, verified=tuple(verified), times=times)


def _verify_line(text: str, line: SignatureLine, vkey: VKey) -> int | None:
    """Verify one line of a known key; return a cosignature's time."""
    message, signature, time = text.encode(), line.payload, None
    if vkey.kind == COSIGNATURE:
        if len(signature) != _TIME_BYTES + _SIGNATURE_BYTES:
            raise VerificationError(f"the cosignature of {vkey.name} has another length")
        time = int.from_bytes(signature[:_TIME_BYTES], "big")
        if not 0 < time <= MAX_TIME:
            raise VerificationError(f"the cosignature of {vkey.name} has no possible time")
        message, signature = cosigned_message(text, time), signature[_TIME_BYTES:]
    check = _check_kept if len(message) <= _KEPT_BYTES else _check_signature
    try:
        check(vkey.key, signature, message)
    except InvalidSignature as error:
        raise VerificationError(f"the signature of {vkey.name} is wrong") from error
    return time


def _check_signature(key: bytes, signature: bytes, message: bytes) -> None:
    Ed25519PublicKey.from_public_bytes(key).verify(signature, message)


_check_kept = lru_cache(maxsize=_KEPT_SIGNATURES)(_check_signature)


def cosigned_message(text: str, time: int) -> bytes:
    """Return what a witness signs for `text` at `time`, in POSIX seconds (tlog-cosignature)."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def sign_line(text: str, name: str, key: Ed25519PrivateKey) -> SignatureLine:
    """Return the plain signature line (type 01) of `key` under `name` over `text`.

    Raises:
        MisuseError: a name that no line can carry, or a text without newline at its end.
    """
    _check_text(text)
    vkey = vkey_for(name, key.public_key(), ED25519)
    return SignatureLine(name=name, key_id=vkey.key_id, payload=key.sign(text.encode()))


def cosign_line(text: str, name: str, key: Ed25519PrivateKey, time: int) -> SignatureLine:
    """Return the cosignature line (type 04) of `key` under `name` at `time`, in POSIX seconds.

    Raises:
        MisuseError: a name that no line can carry, a text without newline at its end, or a time
            that is not between 1 and 2^63-1.
    """
    _check_text(text)
    if not 0 < time <= MAX_TIME:
        raise MisuseError("a cosignature has a time between 1 and 2^63-1")
    vkey = vkey_for(name, key.public_key(), COSIGNATURE)
    signature = key.sign(cosigned_message(text, time))
    payload = time.to_bytes(_TIME_BYTES, "big") + signature
    return SignatureLine(name=name, key_id=vkey.key_id, payload=payload)
