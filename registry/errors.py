"""What the registry refuses: a stable code, an HTTP status, words for people, and detail.

`docs/reference/errors.md` lists every code; a test compares the two.
"""

from __future__ import annotations

from typing import Any


class RegistryError(Exception):
    """Base: `code` is stable, `status` the HTTP status, `detail` JSON about this case."""

    code = "registry_error"
    status = 500

    def __init__(self, message: str, **detail: Any) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class InvalidInputError(RegistryError):
    """A field of the request is missing or wrong; `detail` names it."""

    code = "invalid_input"
    status = 400


class NotAllowedError(RegistryError):
    """The caller may not do this."""

    code = "not_allowed"
    status = 403


class UnknownModelError(RegistryError):
    """No such model, or none that the caller may know of."""

    code = "unknown_model"
    status = 404


class UnknownRevisionError(RegistryError):
    """The model has no such revision, release or alias."""

    code = "unknown_revision"
    status = 404


class UnknownUploadError(RegistryError):
    """No such upload of this caller."""

    code = "unknown_upload"
    status = 404


class UnknownFileError(RegistryError):
    """The revision has no such file, or no blob has this digest."""

    code = "unknown_file"
    status = 404


class UnknownKeyError(RegistryError):
    """No key with this fingerprint is registered."""

    code = "unknown_key"
    status = 404


class NameTakenError(RegistryError):
    """The name belongs to something else, or once did."""

    code = "name_taken"
    status = 409


class ConflictError(RegistryError):
    """The state has moved on since the caller looked; `detail` says to what."""

    code = "conflict"
    status = 409


class DigestMismatchError(RegistryError):
    """The bytes do not hash to the declared digest; `detail` has both."""

    code = "digest_mismatch"
    status = 400


class TooLargeError(RegistryError):
    """Larger than a limit or a quota allows."""

    code = "too_large"
    status = 413


class RefusedFileError(RegistryError):
    """A file's name or kind is refused; `detail` has path, code and remedy."""

    code = "refused_file"
    status = 400


class NotInspectedError(RegistryError):
    """The revision waits for its inspection, or failed it."""

    code = "not_inspected"
    status = 409


class BadSignatureError(RegistryError):
    """A signature or signed statement does not say what the release needs; `detail` says where."""

    code = "bad_signature"
    status = 400


class ReplayedSignatureError(RegistryError):
    """This very statement was logged before."""

    code = "replayed_signature"
    status = 409


class NotReleasedError(RegistryError):
    """Only a signed release can be run."""

    code = "not_released"
    status = 409


class LengthRequiredError(RegistryError):
    """The body has no Content-Length."""

    code = "length_required"
    status = 411


class NoGraphError(RegistryError):
    """The release holds no ONNX graph and cannot be run."""

    code = "no_graph"
    status = 409


class UnknownOwnerError(RegistryError):
    """No such person or organisation, or none that the caller may know of."""

    code = "unknown_owner"
    status = 404


class UnknownRequestError(RegistryError):
    """No such invitation, request or transfer that the caller may know of."""

    code = "unknown_request"
    status = 404


class UnknownTokenError(RegistryError):
    """The caller has no such token."""

    code = "unknown_token"
    status = 404


class GatedError(RegistryError):
    """The files of a gated model are for those whose request was approved."""

    code = "gated"
    status = 403


class MovedError(RegistryError):
    """The model has another address now; `detail` has the old and the new name."""

    code = "moved"
    status = 308


class LastAdminError(RegistryError):
    """An organisation would be left without an admin."""

    code = "last_admin"
    status = 409


class WithdrawnError(RegistryError):
    """The release was withdrawn: no alias moves to it."""

    code = "withdrawn"
    status = 409


class BadTokenError(RegistryError):
    """An ID token is malformed, not its issuer's, not for this site, or not of this time."""

    code = "bad_token"
    status = 401


class UntrustedIssuerError(RegistryError):
    """The operator trusts no tokens of this issuer."""

    code = "untrusted_issuer"
    status = 403


class IssuerAwayError(RegistryError):
    """The keys of a trusted issuer cannot be fetched now."""

    code = "issuer_away"
    status = 503


class ReplayedTokenError(RegistryError):
    """This ID token was exchanged before."""

    code = "replayed_token"
    status = 409


class UnknownPublisherError(RegistryError):
    """The model trusts no such workflow."""

    code = "unknown_publisher"
    status = 404


class TooManyError(RegistryError):
    """The owner has as many models, or uploads at a time, as it may."""

    code = "too_many"
    status = 409


class UnknownAppealError(RegistryError):
    """The revision has no appeal that the caller may know of."""

    code = "unknown_appeal"
    status = 404


class StoreAwayError(RegistryError):
    """The object store that keeps the files does not answer, or refuses."""

    code = "store_away"
    status = 503


class PreconditionFailedError(RegistryError):
    """`If-Match` names a state that is past, or the address has none."""

    code = "precondition_failed"
    status = 412


class ModeratedError(RegistryError):
    """Base of what moderators stopped; `detail` has the action and its signed statement.

    `links` is the header `Link` that goes with the answer.
    """

    code = "moderated"
    status = 403

    def __init__(self, message: str, *, links: str = "", **detail: Any) -> None:
        super().__init__(message, **detail)
        self.links = links


class TakenDownError(ModeratedError):
    """Moderators took this down; `detail` has the action and its signed statement (RFC 7725)."""

    code = "taken_down"
    status = 451


class HiddenError(ModeratedError):
    """Moderators hid this: it is neither downloaded nor run; `detail` has the action."""

    code = "hidden"
    status = 403


class SuspendedError(ModeratedError):
    """The account is suspended: it reads, and changes nothing; `detail` has the action."""

    code = "suspended"
    status = 403


class UnknownActionError(RegistryError):
    """There is no such action of moderators."""

    code = "unknown_action"
    status = 404


class TooManyReportsError(RegistryError):
    """So many reports came from one place lately; `detail` says how many an hour may have."""

    code = "too_many_reports"
    status = 429
