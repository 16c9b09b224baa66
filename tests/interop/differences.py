"""What stock programs let pass and Assay refuses, of the forged corpus: all of it, with reasons.

A pattern is looked for in the names of the questions. `docs/reference/interop.md` has the same
reasons; the tests compare. There is nothing the other way round: what Assay takes, they take.
"""

from __future__ import annotations

from dataclasses import dataclass

COSIGN, SIGSTORE_JS, MODEL_SIGNING = "cosign", "@sigstore/verify", "model_signing"

_NO_WITNESS = (
    r"signers: (nobody|one witness|a witness|a cosignature|a third cosignature)",
    "no cosignature is looked at",
)
_REPEATED = (
    r"signers: the log signed, and then wrongly",
    "a second line of a key that has signed is not verified",
)
_STAMPS = (r"integrated time|has time stamps", "times that nothing signs are passed over")


@dataclass(frozen=True, slots=True)
class Difference:
    """Names that match `pattern` may be accepted by `program`; `reason` is for people."""

    program: str
    pattern: str
    reason: str


def _of(program: str, *rows: tuple[str, str]) -> tuple[Difference, ...]:
    return tuple(Difference(program, pattern, reason) for pattern, reason in rows)


DIFFERENCES = (
    *_of(
        COSIGN,
        _NO_WITNESS,
        _REPEATED,
        _STAMPS,
        (r"publicKey\.hint", "the hint is not compared with the key on the command line"),
        (r"kindVersion\.(kind|version)", "the entry is rebuilt as one of the kind it should be"),
        (
            r"inclusionProof\.(logIndex|rootHash|treeSize)",
            "unsigned copies are not compared with the checkpoint",
        ),
        (
            r"has a letter too few|has no padding|has stray bits|has a newline",
            "base64 is read with line breaks, without padding, and with stray bits",
        ),
        (r"\.logIndex (is a number|has a fraction)", "integers are read as JSON numbers too"),
        (
            r"envelope (size has a leading zero|text has an empty extension)",
            "a checkpoint is read in more than one spelling",
        ),
    ),
    *_of(
        SIGSTORE_JS,
        _NO_WITNESS,
        _REPEATED,
        _STAMPS,
        (r"has a field (note|__proto__|constructor)", "unknown fields are passed over"),
        (r" twice$", "of two fields with one name the last one counts"),
        (r"mediaType (is another|has a space)", "later media types are read as this one"),
        (
            r"publicKey(\.hint)? is (a |another text)",
            "the hint is whatever chooses a key, and is turned into a text",
        ),
        (r"tlogEntries\[0\]\.logIndex", "the entry's own index is not read"),
        (
            r"inclusionProof\.(logIndex|rootHash|treeSize)",
            "unsigned copies are not compared with the checkpoint, and numbers are read loosely",
        ),
        (
            r"has (a newline|a space after it|a letter too few|surplus padding|no padding|stray)",
            "base64 is read with spaces, without padding, and with stray bits",
        ),
        (
            r"checkpoint\.envelope (whole|size|text)",
            "a checkpoint is read in more than one spelling, without limits",
        ),
        (r"has a (certificate beside|chain of)", "a certificate beside the key is passed over"),
        (r"has a (number for a )?key id", "the key id is not read"),
        (r"is logged with spaces", "the logged body may be spelled in any way"),
        (r"signed as another payload type", "the payload's type is not compared"),
    ),
    *_of(
        MODEL_SIGNING,
        (r"has a field (note|__proto__|constructor)", "unknown fields are passed over"),
        (r" twice$", "of two fields with one name the last one counts"),
        (r"subject\[0\]\.name is", "the subject's name is not read"),
        (r"allow_symlinks is", "symbolic links are allowed, by any value that is true or none"),
        (
            r"ignore_paths",
            "whatever the signer says is ignored, in any spelling: a signer can hide a file",
        ),
        (r"resources\[0\]\.name (stays|ends in a slash)", "paths are normalised, not refused"),
        (
            r"resources\[0\]\.digest (is in capitals|ends in|has a space)",
            "digests are read in any letters, with spaces",
        ),
    ),
)
