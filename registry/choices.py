"""The closed lists of the registry."""

from __future__ import annotations

from django.db import models


class OwnerKind(models.TextChoices):
    """A person, or several together."""

    USER = "user", "person"
    ORGANISATION = "organisation", "organisation"


class Visibility(models.TextChoices):
    """Who may know of a model."""

    PUBLIC = "public", "public"
    PRIVATE = "private", "private"
    GATED = "gated", "gated"


class UploadState(models.TextChoices):
    """Where an upload stands; `stored` and `failed` are final."""

    OPEN = "open", "waiting for parts"
    JOINING = "joining", "all parts are here and being checked"
    STORED = "stored", "stored"
    FAILED = "failed", "failed"


class RevisionState(models.TextChoices):
    """What the inspection said so far."""

    PENDING = "pending", "waiting for inspection"
    PASSED = "passed", "passed"
    FLAGGED = "flagged", "passed with remarks"
    FAILED = "failed", "failed"


class KeyRole(models.TextChoices):
    """What a key may sign."""

    PUBLISHER = "publisher", "publisher"
    EXECUTOR = "executor", "executor"
    AUDITOR = "auditor", "auditor"
    REGISTRY = "registry", "registry"


class KeyState(models.TextChoices):
    """Whether a key's new statements count."""

    REGISTERED = "registered", "registered"
    SUPERSEDED = "superseded", "superseded"
    REVOKED = "revoked", "revoked"


class KeyEvent(models.TextChoices):
    """What an owner is told by e-mail."""

    REGISTERED = "registered", "a key was added"
    ROTATED = "rotated", "a key took the place of another"
    REVOKED = "revoked", "a key was revoked"


class ClaimKind(models.TextChoices):
    """The three statements of a release."""

    MODEL_SIGNATURE = "oms", "model signature"
    RELEASE = "release", "release"
    CARD = "card", "card"


class TokenScope(models.TextChoices):
    """What a token may do; each includes the one before."""

    READ = "read", "read"
    WRITE = "write", "read and write"
    PUBLISH = "publish", "read, write and release"
    ADMIN = "admin", "everything"


class Role(models.TextChoices):
    """What a member of an organisation may do there; each includes the one before."""

    READER = "reader", "reader"
    WRITER = "writer", "writer"
    PUBLISHER = "publisher", "publisher"
    ADMIN = "admin", "admin"


class Action(models.TextChoices):
    """What can be done to an owner or to a model; who may is in `registry.rights`."""

    READ = "read", "know of it and read its page"
    FILES = "files", "have its files and run it"
    WRITE = "write", "upload, commit, edit the card"
    RELEASE = "release", "sign and withdraw releases"
    ALIAS = "alias", "move aliases"
    SETTINGS = "settings", "change who may know of it"
    DELETE = "delete", "delete it"
    TRANSFER = "transfer", "give it to another owner"
    MEMBERS = "members", "say who is a member"
    KEYS = "keys", "register and revoke keys"


class MemberState(models.TextChoices):
    """An invitation gives no right until it is accepted."""

    INVITED = "invited", "invited"
    MEMBER = "member", "member"


class Gate(models.TextChoices):
    """How requests for a gated model are answered."""

    MANUAL = "manual", "somebody looks at each request"
    AUTO = "auto", "every request is approved at once"


class AccessState(models.TextChoices):
    """Where a request for the files of a gated model stands."""

    WAITING = "waiting", "waiting"
    APPROVED = "approved", "approved"
    DECLINED = "declined", "declined"
    WITHDRAWN = "withdrawn", "withdrawn"


class TransferState(models.TextChoices):
    """Where the transfer of a model stands; all but `waiting` are final."""

    WAITING = "waiting", "waiting for the new owner"
    ACCEPTED = "accepted", "accepted"
    DECLINED = "declined", "declined"
    CANCELLED = "cancelled", "cancelled"


class RefKind(models.TextChoices):
    """What a name of a revision is; `main` is a branch without a row."""

    BRANCH = "branch", "branch"
    TAG = "tag", "tag"


class AppealState(models.TextChoices):
    """Where the appeal against a failed inspection stands; all but `waiting` are final."""

    WAITING = "waiting", "waiting for a moderator"
    UPHELD = "upheld", "the refusal stands"
    AGAIN = "again", "inspected again"


class Target(models.TextChoices):
    """What moderators act on."""

    MODEL = "model", "model"
    RELEASE = "release", "release"
    FILE = "file", "file, wherever it lies"
    OWNER = "owner", "person or organisation"
    EXECUTION = "execution", "tensors of an execution"
    KEY = "key", "key"


class Act(models.TextChoices):
    """What moderators do: the closed list of the `moderation` statement."""

    HIDE = "hide", "hide"
    RESTORE = "restore", "restore"
    TAKEDOWN = "takedown", "take down"
    SUSPEND = "suspend", "suspend"
    REINSTATE = "reinstate", "reinstate"


class Standing(models.TextChoices):
    """What moderators left a thing at; `""` is as its owner wants it."""

    GOOD = "", "nothing stands against it"
    HIDDEN = "hidden", "hidden"
    TAKEN_DOWN = "taken_down", "taken down"
    SUSPENDED = "suspended", "suspended"


class Category(models.TextChoices):
    """Why moderators act, and why readers report."""

    ILLEGAL = "illegal", "against the law"
    COPYRIGHT = "copyright", "somebody else's work"
    PERSONAL_DATA = "personal-data", "personal data"
    MALICIOUS = "malicious", "made to do harm"
    DECEPTION = "deception", "pretends to be another, or to be what it is not"
    ABUSE = "abuse", "spam, or abuse of people"
    COMPROMISE = "compromise", "a key or an account in wrong hands"
    CORRECTION = "correction", "an earlier action was wrong, or its cause is gone"
    OTHER = "other", "something else; the text says what"


class ReportState(models.TextChoices):
    """Where a reader's report stands; all but `waiting` are final."""

    WAITING = "waiting", "waiting for a moderator"
    ACTED = "acted", "something was done"
    DISMISSED = "dismissed", "nothing was done"


class ObjectionState(models.TextChoices):
    """Where the appeal against an action stands; all but `waiting` are final."""

    WAITING = "waiting", "waiting for another moderator"
    UPHELD = "upheld", "the action stands"
    GRANTED = "granted", "the action was undone"
