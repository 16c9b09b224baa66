"""All that is kept about an account and by it, as one ZIP archive that is made while it is sent.

Nothing is stored and nothing is whole in memory: rows come in small steps, each file of the archive
is written as its bytes are made. It is no picture of one instant; `account.json` says when it was
begun. Left out are secrets that would open something (digests of tokens and passwords, keys of
sessions) and the files of models, which are fetched under their digests.

The signed statements are the bytes that were signed, each in a Sigstore bundle, so that
`assay verify` and stock cosign take them offline. What has no place in the ledger yet is left out,
and named in `releases.jsonl` with `"index":null`.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, User
from django.db.models import Q, QuerySet
from django.utils import timezone

from assay.canonical import canonical_json
from assay.dsse import PublicKey
from assay.statements import timestamp
from ledger import services as ledger
from ledger.errors import LedgerError
from registry.belongings import Part, keepers
from registry.choices import ClaimKind
from registry.errors import ConflictError
from registry.models import (
    AccessRequest,
    ApiToken,
    Appeal,
    AuditEvent,
    Claim,
    Key,
    Letter,
    Membership,
    Model,
    Objection,
    Owner,
    Release,
    Report,
    Revision,
)
from registry.services import audit, sessions

STEP = 200
MOST, WINDOW = 6, timedelta(hours=1)
_BUNDLES = {
    ClaimKind.MODEL_SIGNATURE: "model.sig",
    ClaimKind.CARD: "card.sigstore.json",
    ClaimKind.RELEASE: "release.sigstore.json",
}
_README = """\
Everything that {site} keeps about the account {name}.

*.json, *.jsonl   one object, or one object a line, in RFC 8785 form
keys/             your public keys, and the statements that registered and ended them
releases/         what you signed for each release
wrapped-keys/     copies of your private keys as your browser encrypted them: without your
                  passphrase they are noise

Check a statement, after `assay trust init {site}`:

    assay verify --offline --type urn:assay:release:v1 \\
      releases/<owner>/<model>/<version>/release.sigstore.json

A card is of the type urn:assay:card:v1, a model signature of
https://model_signing/signature/v1.0, a key of urn:assay:key:v1.

Fetch a file of a model: {site}/sha256/<digest>, or with any Hugging Face client.
"""


def begin(user: AbstractBaseUser) -> Iterator[bytes]:
    """Note that `user` takes their data away, and return the archive, piece by piece.

    Raises:
        ConflictError: they did so often lately: each one holds a thread while it is sent.
    """
    lately = AuditEvent.objects.filter(
        user_id=user.pk, action="account.export", created_at__gt=timezone.now() - WINDOW
    )
    if lately.count() >= MOST:
        raise ConflictError(f"{MOST} exports an hour are enough: come back later.")
    audit.note(user, "account.export", user.get_username())
    return archive(user)


def archive(user: AbstractBaseUser) -> Iterator[bytes]:
    """Yield the ZIP archive of `user`, piece by piece."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as made:
        for part in parts(user):
            with made.open(zipfile.ZipInfo(part.path, timezone.now().timetuple()[:6]), "w") as file:
                for chunk in part.chunks:
                    file.write(chunk)
                    if sink.waiting > 2**16:
                        yield sink.take()
            yield sink.take()
    yield sink.take()


class _Sink(io.RawIOBase):
    """Where the archive is written to, and taken from; it cannot be wound back."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.waiting = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self.waiting += len(piece)
        return len(piece)

    def take(self) -> bytes:
        """Return what was written since the last time."""
        found = b"".join(self._pieces)
        self._pieces, self.waiting = [], 0
        return found


def parts(user: AbstractBaseUser) -> Iterator[Part]:
    """Yield the files of the archive."""
    own = Owner.objects.filter(user_id=user.pk).first()
    readme = _README.format(site=settings.SITE_URL, name=user.get_username())
    yield Part(path="README.txt", chunks=[readme.encode()])
    yield Part(path="account.json", chunks=[canonical_json(_account(user, own)) + b"\n"])
    for path, rows, shown in _lists(user):
        yield Part(path=path, chunks=_lines(rows, shown))
    if own is not None:
        for key in Key.objects.filter(owner=own).select_related("backup").order_by("created_at"):
            yield from _key(key)
        for release in _steps(_releases(user, own)):
            yield from _bundles(release)
    for keeper in keepers():
        yield from keeper.export(user.pk)


def _account(user: AbstractBaseUser, own: Owner | None) -> dict[str, Any]:
    row = User.objects.get(pk=user.pk)
    return {
        "madeAt": timestamp(timezone.now()),
        "site": settings.SITE_URL,
        "userName": row.username,
        "fullName": own.title if own else "",
        "joinedAt": timestamp(row.date_joined),
        "lastSignInAt": _when(row.last_login),
        "emailAddresses": [
            {"address": one.email, "verified": one.verified, "primary": one.primary}
            for one in EmailAddress.objects.filter(user_id=user.pk).order_by("pk")
        ],
        "secondFactors": [
            {"type": one.type, "addedAt": timestamp(one.created_at)}
            for one in Authenticator.objects.filter(user_id=user.pk).order_by("pk")
        ],
        "sessions": [
            {
                "device": one.device or sessions.UNKNOWN,
                "signedInAt": _when(one.signed_in_at),
                "seenAt": timestamp(one.seen_at),
            }
            for one in sessions.of(user).defer("session_data")[: sessions.MOST]
        ],
    }


def _when(instant: Any) -> str | None:
    return timestamp(instant) if instant else None


# ------------------------------------------------------------------ lists


def _lists(user: AbstractBaseUser) -> Iterator[tuple[str, QuerySet[Any], Callable[[Any], Any]]]:
    """Yield path, rows and shape of each file with one object a line."""
    own = Owner.objects.filter(user_id=user.pk).first()
    yield "tokens.jsonl", ApiToken.objects.filter(user_id=user.pk), _token
    yield "memberships.jsonl", Membership.objects.filter(user_id=user.pk), _membership
    yield "access-requests.jsonl", AccessRequest.objects.filter(user_id=user.pk), _access
    yield "models.jsonl", Model.objects.filter(owner=own), _model
    yield "revisions.jsonl", _revisions(user, own), _revision
    yield "releases.jsonl", _releases(user, own), _release
    mine = Q(user_id=user.pk) | (Q(owner=own) if own else Q(pk__in=()))
    yield "activity.jsonl", AuditEvent.objects.filter(mine), _event
    yield "letters.jsonl", Letter.objects.filter(user_id=user.pk), _letter
    yield "reports.jsonl", Report.objects.filter(user_id=user.pk), _report
    yield "appeals.jsonl", Objection.objects.filter(user_id=user.pk), _objection
    yield "inspection-appeals.jsonl", Appeal.objects.filter(user_id=user.pk), _appeal


def _revisions(user: AbstractBaseUser, own: Owner | None) -> QuerySet[Revision]:
    """Return what `user` committed, wherever, and what was committed to their models."""
    rows = Revision.objects.filter(Q(author_id=user.pk) | Q(model__owner=own))
    return rows.select_related("model__owner").defer("report", "card_metadata", "card_body")


def _releases(user: AbstractBaseUser, own: Owner | None) -> QuerySet[Release]:
    """Return what `user` released, wherever, and what was released of their models."""
    rows = Release.objects.filter(Q(author_id=user.pk) | Q(model__owner=own))
    return rows.select_related("model__owner", "revision")


def _steps(rows: QuerySet[Any]) -> Iterator[Any]:
    """Yield `rows` by primary key, some hundred at a time."""
    after = None
    while True:
        found = list((rows.filter(pk__gt=after) if after else rows).order_by("pk")[:STEP])
        yield from found
        if len(found) < STEP:
            return
        after = found[-1].pk


def _lines(rows: QuerySet[Any], shown: Callable[[Any], Any]) -> Iterable[bytes]:
    for row in _steps(rows):
        yield canonical_json(shown(row)) + b"\n"


def _token(row: ApiToken) -> dict[str, Any]:
    return {
        "name": row.name,
        "begins": row.prefix,
        "scope": row.scope,
        "limits": [str(one) for one in row.limits.select_related("owner", "model__owner")],
        "madeAt": timestamp(row.created),
        "expiresAt": _when(row.expiry),
        "lastUsedAt": _when(row.last_used_at),
    }


def _membership(row: Membership) -> dict[str, Any]:
    at = timestamp(row.created_at)
    return {"owner": row.owner.name, "role": row.role, "state": row.state, "since": at}


def _access(row: AccessRequest) -> dict[str, Any]:
    return {
        "model": row.model.full_name,
        "state": row.state,
        "reason": row.reason,
        "askedAt": timestamp(row.asked_at),
    }


def _model(row: Model) -> dict[str, Any]:
    return {
        "name": row.full_name,
        "visibility": row.visibility,
        "madeAt": timestamp(row.created_at),
        "deletedAt": _when(row.deleted_at),
    }


def _revision(row: Revision) -> dict[str, Any]:
    return {
        "id": row.pk,
        "model": row.model.full_name,
        "manifest": row.manifest,
        "message": row.message,
        "at": timestamp(row.created_at),
    }


def _release(row: Release) -> dict[str, Any]:
    claims = row.claims.select_related("entry").order_by("kind")
    return {
        "model": row.model.full_name,
        "version": row.version,
        "revision": row.revision_id,
        "manifest": row.revision.manifest,
        "key": row.key_id,
        "notes": row.notes,
        "releasedAt": timestamp(row.created_at),
        "withdrawnAt": _when(row.yanked_at),
        "statements": [{"kind": one.kind, "index": one.entry.index} for one in claims],
    }


def _event(row: AuditEvent) -> dict[str, Any]:
    return {
        "at": timestamp(row.created_at),
        "action": row.action,
        "target": row.target,
        "token": row.token or None,
        "data": row.data,
    }


def _letter(row: Letter) -> dict[str, Any]:
    at = timestamp(row.created_at)
    return {"subject": row.subject, "text": row.body, "at": at, "sentAt": _when(row.sent_at)}


def _report(row: Report) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "name": row.name,
        "category": row.category,
        "text": row.text,
        "email": row.email or None,
        "state": row.state,
        "at": timestamp(row.created_at),
    }


def _objection(row: Objection) -> dict[str, Any]:
    return {
        "action": row.action.number,
        "text": row.text,
        "state": row.state,
        "answer": row.answer or None,
        "at": timestamp(row.created_at),
    }


def _appeal(row: Appeal) -> dict[str, Any]:
    return {
        "revision": row.revision_id,
        "text": row.text,
        "state": row.state,
        "answer": row.answer or None,
        "at": timestamp(row.created_at),
    }


# ------------------------------------------------------------------ signed statements


def _key(row: Key) -> Iterator[Part]:
    pem = PublicKey(spki=bytes(row.spki)).pem.encode()
    yield Part(path=f"keys/{row.pk}/key.pem", chunks=[pem])
    ends = {"superseded": row.supersession_id, "revoked": row.revocation_id}
    for name, entry_id in ({"registered": row.entry_id} | ends).items():
        yield from _statement(f"keys/{row.pk}/{name}.sigstore.json", entry_id)
    if hasattr(row, "backup"):
        kept = row.backup
        fields = {
            "wrapped": bytes(kept.wrapped).hex(),
            "salt": bytes(kept.salt).hex(),
            "iterations": kept.iterations,
            "iv": bytes(kept.iv).hex(),
        }
        yield Part(path=f"wrapped-keys/{row.pk}.json", chunks=[canonical_json(fields) + b"\n"])


def _bundles(row: Release) -> Iterator[Part]:
    folder = f"releases/{row.model.full_name}/{row.version}"
    for claim in Claim.objects.filter(release=row).order_by("kind"):
        yield from _statement(f"{folder}/{_BUNDLES[ClaimKind(claim.kind)]}", claim.entry_id)


def _statement(path: str, entry_id: int | None) -> Iterator[Part]:
    """Yield the bundle of an entry; nothing for one that cannot be proved now."""
    if entry_id is None:
        return
    try:
        bundle = ledger.receipt(entry_id)
    except LedgerError:
        return
    yield Part(path=path, chunks=[bundle])
