"""The keys that a reader trusts, and what for.

The document is `{"keys":[{"fingerprint","role","owner","publicKey","index"}]}`: `publicKey` in
PEM, `index` that of the key's registration in the log (null: not logged yet), and `revoked`, where
it is there, the index of its revocation. It is pinned at first contact, like the policy.

Where a registry has had several logs, one after another, `log` is the origin of the one that holds
the registration and `revokedLog` that of the revocation (absent: the same). Then

1. two indices of one log are compared as numbers;
2. of two logs the one that stands first in the reader's trusted root came first, whole;
3. a log that the trusted root does not name has no place in that order, and nothing is believed.

Without `log` all indices are taken for those of one log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assay.bundle import hint_for, oms_hint_for
from assay.canonical import as_list, as_object, as_text, parse_json
from assay.checkpoint import is_origin
from assay.dsse import PublicKey, load_public_key
from assay.errors import FormatError, MisuseError, VerificationError
from assay.limits import LIMITS
from assay.statements import (
    ALIAS,
    CARD,
    EXECUTION,
    MODERATION,
    OMS,
    RELEASE,
    REPLAY,
)
from assay.statements.fields import one_of, size
from assay.statements.predicates import ROLES

# Which role may sign which claim. Key claims are signed by the key itself, whatever its role.
_ROLE_OF = {
    OMS: "publisher",
    RELEASE: "publisher",
    CARD: "publisher",
    ALIAS: "publisher",
    EXECUTION: "executor",
    REPLAY: "auditor",
    MODERATION: "registry",
}
_FIELDS = ("fingerprint", "role", "owner", "publicKey", "index")
_OPTIONAL = ("log", "revoked", "revokedLog")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedKey:
    """A key, the role and owner it is trusted as, and the indices between which it counts.

    `role` `""` is a key that the caller vouches for, whatever it signs. `log` and `revoked_log` are
    the origins of the logs that `index` and `revoked` are of; `""` where that is not said.
    """

    key: PublicKey
    role: str = ""
    owner: str = ""
    index: int | None = None
    revoked: int | None = None
    log: str = ""
    revoked_log: str = ""

    def check_role(self, predicate_type: str) -> None:
        """Check that the role may sign this kind of claim.

        Raises:
            VerificationError: another role is needed.
        """
        needed = _ROLE_OF.get(predicate_type, self.role)
        if self.role and self.role != needed:
            raise VerificationError(
                f"the key may not sign {predicate_type}", expected=needed, found=self.role
            )

    def check_index(
        self, index: int, log: str = "", order: Sequence[str] = (), *, revoking: bool = False
    ) -> None:
        """Check that the key counted at `index` of the log `log`, one of the origins in `order`.

        `revoking`: the entry may be the revocation itself, which the key still signs.

        Raises:
            VerificationError: the entry stands before the key's registration, or not before its
                revocation, or `order` does not tell.
        """
        entry = _Place(log, index)
        if self.index is not None:
            registered = _Place(self.log, self.index)
            if entry.is_before(registered, order):
                raise VerificationError(
                    "the entry is older than its key",
                    expected=f"an index from {registered.beside(entry)}",
                    found=entry.beside(registered),
                )
        if self.revoked is not None:
            revoked = _Place(self.revoked_log or self.log, self.revoked)
            last = revoking and entry.is_at(revoked)
            if not last and not entry.is_before(revoked, order):
                raise VerificationError(
                    "the key was revoked",
                    expected=f"an index below {revoked.beside(entry)}",
                    found=entry.beside(revoked),
                )


@dataclass(frozen=True, slots=True)
class _Place:
    """An entry's place: its index, and the origin of its log, or `""`."""

    log: str
    index: int

    def is_before(self, other: _Place, order: Sequence[str]) -> bool:
        if not self._is_apart(other):
            return self.index < other.index
        for log in (self.log, other.log):
            if log not in order:
                raise VerificationError(
                    "the trusted root does not tell which log came first", found=log
                )
        return order.index(self.log) < order.index(other.log)

    def is_at(self, other: _Place) -> bool:
        return not self._is_apart(other) and self.index == other.index

    def beside(self, other: _Place) -> str:
        """Return the index in words, with its log where `other` is of another one."""
        return f"{self.index} of {self.log}" if self._is_apart(other) else str(self.index)

    def _is_apart(self, other: _Place) -> bool:
        return bool(self.log and other.log) and self.log != other.log


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """The keys of one reader."""

    keys: tuple[TrustedKey, ...]

    @classmethod
    def parse(cls, data: bytes) -> KeyRing:
        """Read a document of keys, as `parse_keys`."""
        return parse_keys(data)

    def find(self, hint: str) -> TrustedKey:
        """Return the key that a bundle's `hint` names, in cosign's form or model_signing's.

        The hint is unsigned: it chooses which key is tried, and the signature decides.

        Raises:
            VerificationError: no trusted key has this hint.
        """
        for trusted in self.keys:
            if hint in (hint_for(trusted.key.spki), oms_hint_for(trusted.key.spki)):
                return trusted
        raise VerificationError("signed by a key that is not trusted here", found=hint or "no hint")


def spelled_key(pem: str, path: str) -> PublicKey:
    """Return the key that `pem` spells in a document or a statement, which has one spelling.

    `load_public_key` is for the reader's own file, and takes whatever PEM and DER allow.

    Raises:
        FormatError: no P-256 public key, or one in another spelling than `PublicKey.pem`.
    """
    try:
        key = load_public_key(pem)
    except MisuseError as error:
        raise FormatError(str(error), path) from error
    if key.pem != pem:
        raise FormatError("is not the one spelling of the key in PEM", path)
    return key


def parse_keys(data: bytes) -> KeyRing:
    """Read a document of trusted keys.

    Raises:
        FormatError: not the document, a key that is not P-256 or stands twice, or a fingerprint of
            another key.
    """
    value = parse_json(data, max_bytes=LIMITS.trusted_root, path="keys")
    items = as_list(as_object(value, "keys", required=("keys",))["keys"], "keys")
    keys = tuple(_parse_key(item, f"keys[{i}]") for i, item in enumerate(items))
    if len({trusted.key for trusted in keys}) != len(keys):
        # The first would count: one with a revocation could hide behind one without.
        raise FormatError("a key stands twice", "keys")
    return KeyRing(keys=keys)


def _parse_key(value: object, path: str) -> TrustedKey:
    fields = as_object(value, path, required=_FIELDS, optional=_OPTIONAL)
    key = spelled_key(as_text(fields["publicKey"], f"{path}.publicKey"), f"{path}.publicKey")
    if fields["fingerprint"] != key.fingerprint:
        raise FormatError("is another key's fingerprint", f"{path}.fingerprint")
    return TrustedKey(
        key=key,
        role=one_of(*ROLES)(fields["role"], f"{path}.role"),
        owner=as_text(fields["owner"], f"{path}.owner"),
        index=_index(fields, "index", path),
        revoked=_index(fields, "revoked", path),
        log=_origin(fields, "log", path),
        revoked_log=_origin(fields, "revokedLog", path),
    )


def _index(fields: dict[str, Any], name: str, path: str) -> int | None:
    value = fields.get(name)
    return None if value is None else size(value, f"{path}.{name}")


def _origin(fields: dict[str, Any], name: str, path: str) -> str:
    if name not in fields:
        return ""
    value = as_text(fields[name], f"{path}.{name}")
    if not is_origin(value):
        raise FormatError("is no origin of a log", f"{path}.{name}")
    return value
