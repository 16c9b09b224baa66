"""What the ledger refuses, each with a stable code that the API and the documentation share."""

from __future__ import annotations


class LedgerError(Exception):
    """Base: `code` is stable, `status` the HTTP status, `message` for people.

    `retry_after_s` says when the same request may succeed, where that is known.
    """

    code = "ledger_error"
    status = 500
    retry_after_s: int | None = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidEnvelopeError(LedgerError):
    """The envelope is malformed, or its signature is not by the key that it names."""

    code = "invalid_envelope"
    status = 400


class DuplicateClaimError(LedgerError):
    """This key has logged this statement before; `entry_id` is the earlier entry's row."""

    code = "duplicate_claim"
    status = 409

    def __init__(self, message: str, *, entry_id: int) -> None:
        super().__init__(message)
        self.entry_id = entry_id


class LogFrozenError(LedgerError):
    """The log takes no more entries."""

    code = "log_frozen"
    status = 405


class LogBusyError(LedgerError):
    """Too many entries wait for the sequencer: come back later."""

    code = "log_busy"
    status = 503


class StorageAwayError(LedgerError):
    """The log's files cannot be read at the moment, which says nothing about the log."""

    code = "storage_away"
    status = 503
    retry_after_s = 1


class UnknownLogError(LedgerError):
    """This installation has no log with that origin."""

    code = "unknown_log"
    status = 404


class NotIncludedError(LedgerError):
    """No published checkpoint covers the entry yet."""

    code = "not_included_yet"
    status = 404


class LogDamagedError(LedgerError):
    """What is stored is not what the log signed; nothing more may be written."""

    code = "log_damaged"
    status = 500


class LogHeldError(LedgerError):
    """Nothing is wrong with the log, but now is no time to grow: a full disk, a wrong clock."""

    code = "log_held"
    status = 503
    retry_after_s = 5


class LogStoppedError(LedgerError):
    """The sequencer found what must not be and stopped; nothing is logged until people look."""

    code = "log_stopped"
    status = 503
    retry_after_s = 60


class UnregisteredKeyError(LedgerError):
    """The log holds no registration of this key that counts now."""

    code = "key_not_registered"
    status = 403


class KeyMayNotError(LedgerError):
    """The key is registered, but not for statements of this kind or this owner."""

    code = "key_may_not"
    status = 403


class PayloadMissingError(LedgerError):
    """The signed payload was not handed in first: the log takes no leaf without content."""

    code = "payload_missing"
    status = 400


class TooManyClaimsError(LedgerError):
    """This key, or this person, asks faster than the open interfaces allow."""

    code = "rate_limited"
    status = 429

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
