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
