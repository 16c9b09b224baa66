"""Following a log: what was once signed must stay true, and names that matter are watched.

`follow` judges two verified checkpoints of one log by a consistency proof, `compare` by the tiles
of the larger tree. The difference matters: a proof is not signed, so a wrong one accuses nobody;
tiles that rebuild a signed root are that tree, so what they contradict is a split view that anyone
can check.

The rules:

1. The caller remembers the new checkpoint only after the old one was found to be its beginning.
2. Tiles that do not rebuild the signed root prove nothing but that the tiles are wrong.
3. A fork is told with its evidence (`ForkError`), never by a message alone.

`Watch` picks the statements to report. It reads what the statement says about itself, so it finds
what was claimed in a name, by whomever; whether the claim holds is `assay.verify`'s question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay.checkpoint import VerifiedCheckpoint
from assay.errors import MisuseError, SplitViewError, VerificationError
from assay.merkle import HashReader, check_consistency
from assay.splitview import SplitView, read_cover, roots_of
from assay.statements import ALIAS, CARD, KEY, MODERATION, RELEASE, Statement

ALARM, WARNING, NEWS = "alarm", "warning", "news"
_PUBLISHED = (RELEASE, CARD, ALIAS)


def follow(remembered: VerifiedCheckpoint, new: VerifiedCheckpoint, proof: Sequence[bytes]) -> None:
    """Check that the log still says what it said: `new` extends `remembered`.

    `proof` is the consistency proof, 32-byte hashes, empty between equal sizes.

    Raises:
        MisuseError: checkpoints of two logs.
        SplitViewError: two roots for one tree size; it carries both notes as evidence.
        VerificationError: the log shrank, or the proof does not show that it grew from the
            remembered tree. A proof is not signed, so a wrong one accuses nobody.
        FormatError: a proof that is none.
    """
    old, now = remembered.checkpoint, new.checkpoint
    _check_one_log(remembered, new)
    if old.size == now.size and old.root != now.root:
        raise SplitViewError(
            f"{old.origin} signed two trees of size {old.size}",
            first=remembered.note,
            second=new.note,
        )
    if now.size < old.size:
        raise VerificationError(
            f"{old.origin} rolled back", expected=f"at least {old.size}", found=str(now.size)
        )
    check_consistency(old.size, old.root, now.size, now.root, proof)


def _check_one_log(one: VerifiedCheckpoint, other: VerifiedCheckpoint) -> None:
    if one.checkpoint.origin != other.checkpoint.origin:
        raise MisuseError(
            f"checkpoints of two logs: {one.checkpoint.origin} and {other.checkpoint.origin}"
        )


class ForkError(SplitViewError):
    """A log signed two trees that cannot be one; `evidence` shows it to anyone."""

    def __init__(self, message: str, evidence: SplitView) -> None:
        super().__init__(message, first=evidence.first, second=evidence.second)
        self.evidence = evidence


def compare(one: VerifiedCheckpoint, other: VerifiedCheckpoint, reader: HashReader) -> None:
    """Check that of two checkpoints of one log the smaller tree is the larger one's beginning.

    `reader` reads the tiles of the larger tree; it is not asked when both have one size.

    Raises:
        MisuseError: checkpoints of two logs.
        ForkError: the trees contradict each other, with the evidence.
        VerificationError: the tiles do not rebuild the larger tree's root, so they show nothing.
        FormatError, UnavailableError: a tile is damaged, or cannot be had.
    """
    _check_one_log(one, other)
    first, second = sorted((one, other), key=lambda view: view.checkpoint.size)
    old, new = first.checkpoint, second.checkpoint
    if old.size == new.size:
        if old.root != new.root:
            raise ForkError(
                f"{old.origin} signed two trees of {old.size} leaves",
                SplitView(first=first.note, second=second.note),
            )
        return
    left = read_cover(0, old.size, reader)
    right = read_cover(old.size, new.size, reader)
    begins, whole = roots_of(old.size, new.size, left, right)
    if whole != new.root:
        raise VerificationError(
            f"the tiles are not those of the tree of {new.size} leaves",
            expected=new.root.hex(),
            found=whole.hex(),
        )
    if begins != old.root:
        raise ForkError(
            f"{old.origin} signed a tree of {new.size} leaves that does not begin with the tree of "
            f"{old.size} leaves that it signed",
            SplitView(first=first.note, second=second.note, left=left, right=right),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A statement that somebody watches for.

    `level` is `ALARM` for a new, superseded or revoked key of a watched owner (or a watched key),
    `WARNING` for a release, card or alias in a watched name by a key that is not watched though
    keys are, else `NEWS`. `about` and `action` are the statement's words, a stranger's.
    """

    index: int
    level: str
    predicate_type: str
    about: str
    action: str
    signer: str
    watched: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What is watched for: keys by fingerprint, models as `owner/name`, owners; all exact."""

    keys: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    owners: frozenset[str] = frozenset()

    def find(self, index: int, statement: Statement, signer: str) -> Finding | None:
        """Return the finding that an entry is, None when nobody watches for it.

        `statement` is what entry `index` of the log says, `signer` the fingerprint of its key.

        A model is watched by the predicate's `model` (of a moderation: the subject's name), an
        owner by its first part or the predicate's `owner`, a key by the signer's fingerprint and,
        in statements about keys and those of moderators, by the subject and `previous`.
        """
        model, owner = _model(statement), _owner(statement)
        about_keys = statement.predicate_type in (KEY, MODERATION)
        named = {*statement.digests, _text(statement, "previous")} if about_keys else set()
        watched = [f"key {key}" for key in sorted(self.keys & {signer, *named})]
        named_here = [f"model {model}"] if model in self.models else []
        named_here += [f"owner {owner}"] if owner in self.owners else []
        if not watched and not named_here:
            return None
        level = NEWS
        if statement.predicate_type == KEY or self.keys & named:
            level = ALARM
        elif statement.predicate_type in _PUBLISHED and self.keys and signer not in self.keys:
            level = WARNING
        return Finding(
            index=index,
            level=level,
            predicate_type=statement.predicate_type,
            about=model or owner or statement.subjects[0].name or statement.subjects[0].sha256,
            action=_action(statement),
            signer=signer,
            watched=(*watched, *named_here),
        )


def _text(statement: Statement, field: str) -> str:
    value = statement.predicate.get(field)
    return value if isinstance(value, str) else ""


def _model(statement: Statement) -> str:
    """Return the model that a statement names; the registry acts on its subject."""
    acted_on = statement.subjects[0].name if statement.predicate_type == MODERATION else ""
    return _text(statement, "model") or acted_on


def _owner(statement: Statement) -> str:
    return _text(statement, "owner") or _model(statement).partition("/")[0]


def _action(statement: Statement) -> str:
    """Return what is done, beside the kind: `register publisher key …`, `hide`, `1.0`, `latest`."""
    action = _text(statement, "action") or _text(statement, "version") or _text(statement, "alias")
    if statement.predicate_type == KEY:
        return f"{action} {_text(statement, 'role')} key {statement.digests[0]}"
    return action
