"""What can go wrong, as one tree: a wrong call, malformed bytes, a lie, and no answer.

The four families never share a type, because a reader acts differently on each: mend the call,
distrust the transport, distrust the sender, try again.

`AssayError`
    `MisuseError`: the caller asked for something that cannot be asked (exit code 2).
    `FormatError`: these bytes are not the format (exit code 1).
    `VerificationError`: the format is right, the claim is not (exit code 1).
        `SplitViewError`: two signed trees that cannot both be true.
    `UnavailableError`: the check could not be made (exit code 3).
        `MissingError`: who was asked has no such thing, and said so.
"""

from __future__ import annotations


class AssayError(Exception):
    """Base of every error that this package raises on purpose."""


class MisuseError(AssayError):
    """The caller asked for what cannot be asked: a private key, an unknown kind, no log."""


class FormatError(AssayError):
    """The bytes are not the format; `path` says where, `""` for the whole."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path


class VerificationError(AssayError):
    """The format is right and the claim is not.

    `expected` and `found` are the two values that differ, as text, where there are two.
    """

    def __init__(self, message: str, *, expected: str = "", found: str = "") -> None:
        detail = f" (expected {expected}, found {found})" if expected or found else ""
        super().__init__(message + detail)
        self.expected = expected
        self.found = found


class SplitViewError(VerificationError):
    """Two signed checkpoints of one origin that cannot both be true.

    `first` and `second` are the two signed notes, whole: together they are evidence that anyone
    can check again.
    """

    def __init__(self, message: str, *, first: bytes, second: bytes) -> None:
        super().__init__(message)
        self.first = first
        self.second = second


class UnavailableError(AssayError):
    """The check could not be made: the network, a file or a program did not answer."""


class MissingError(UnavailableError):
    """Whoever was asked answered that there is no such thing: a 404, a file that is not there.

    For most readers that is one more way of not knowing. A monitor tells it apart from silence: a
    log that published a checkpoint has every tile and envelope under it.
    """
