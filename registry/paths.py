"""Which paths a revision may have (`docs/reference/files.md`): one spelling on every system.

Beside what a manifest asks of a path (relative, no `.` or `..`, no backslash, lengths), a path here
is in Unicode normal form C, has no character that turns the direction of text, no `.git` segment,
and differs from every other path of the revision by more than the case of its letters. And a copy
of it means the same on Windows, which opens a device for `con` or `aux.txt`, a drive or a stream
for `C:x`, and cuts blanks and dots off the end of a name.

An ONNX model names its data by paths too. They must be files of the revision, so what is refused
here cannot be named there.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from assay.errors import FormatError
from assay.limits import LIMITS
from assay.manifest import SIGNATURE_FILE, check_path
from registry.errors import RefusedFileError

CARD = "README.md"
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_INVISIBLE = frozenset("\u00ad\u200b\u2028\u2029\u2060\ufeff")
_JOINERS = dict.fromkeys((0x200C, 0x200D))  # some file systems pass over them
_GIT = frozenset({".git", "git~1"})
_RESERVED = frozenset('<>:"|?*')
_DEVICES = frozenset(
    {
        *("con", "prn", "aux", "nul", "conin$", "conout$", "clock$"),
        *(f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"),
    }
)


def _refuse(path: str, message: str, remedy: str) -> RefusedFileError:
    return RefusedFileError(message, path=path[:1024], code="path", remedy=remedy)


def check_one(path: str) -> str:
    """Return `path` when a revision may have it.

    Raises:
        RefusedFileError: code `path`, with the rule that it breaks and the remedy.
    """
    try:
        check_path(path)
    except FormatError as error:
        raise _refuse(
            path.encode("utf-8", "replace").decode(),
            f"This path is refused: {error}.",
            "Rename it.",
        ) from error
    if unicodedata.normalize("NFC", path) != path:
        raise _refuse(
            path,
            f"The path '{path}' is not in Unicode normal form C.",
            "Rename the file with composed characters (NFC); macOS writes the other form.",
        )
    if not _TURNING.union(_INVISIBLE).isdisjoint(path):
        raise _refuse(
            path, "The path holds a character that hides or turns text.", "Remove that character."
        )
    for segment in path.split("/"):
        _check_segment(path, segment)
    if path.lower() == SIGNATURE_FILE:
        raise _refuse(path, f"'{path}' is written by the registry.", "Leave this file out.")
    return path


def _check_segment(path: str, segment: str) -> None:
    """Check that the name of a file or folder is one everywhere, and nobody's own."""
    if segment.translate(_JOINERS).lower() in _GIT:
        raise _refuse(path, f"'{path}' is Git's own.", "Leave the folder .git out.")
    if not _RESERVED.isdisjoint(segment):
        raise _refuse(
            path,
            f"The name '{segment}' in '{path}' holds one of < > : \" | ? *, which Windows does not "
            "take in a name.",
            "Rename it.",
        )
    if segment != segment.strip() or segment.endswith("."):
        raise _refuse(
            path,
            f"The name '{segment}' in '{path}' begins or ends with a blank, or ends with a dot, "
            "which not every system keeps.",
            "Rename it without them.",
        )
    if segment.partition(".")[0].rstrip().lower() in _DEVICES:
        raise _refuse(
            path,
            f"The name '{segment}' in '{path}' is a device on Windows, whatever follows the dot.",
            "Rename it.",
        )


def check_tree(paths: Iterable[str]) -> None:
    """Check every path of a revision, and that no two are the same on some system.

    Raises:
        RefusedFileError: code `path`; the detail names the path.
    """
    seen: dict[str, str] = {}
    for count, path in enumerate(paths, 1):
        if count > LIMITS.manifest_files:
            raise _refuse(
                path, f"There are more than {LIMITS.manifest_files} files.", "Leave some out."
            )
        check_one(path)
        folded = unicodedata.normalize("NFC", path.casefold())
        if folded in seen:
            raise _refuse(
                path,
                f"'{path}' and '{seen[folded]}' are one file on some systems.",
                "Rename one of them.",
            )
        seen[folded] = path
    for folded, path in seen.items():
        parts = folded.split("/")
        for depth in range(1, len(parts)):
            if "/".join(parts[:depth]) in seen:
                raise _refuse(path, f"A folder of '{path}' is also a file.", "Rename one of them.")
