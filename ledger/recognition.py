"""What somebody typed into the ledger's search box, recognised by its form alone."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from enum import StrEnum

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?"
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_SITE = r"(?:https?://[^/\s]+)?"


class Form(StrEnum):
    """The forms, in the words of the page."""

    INDEX = "the index of an entry"
    DIGEST = "a SHA-256"
    ENVELOPE = "the address of an envelope"
    KEY = "the address of a key"
    EXECUTION = "the id of an execution"
    MODEL = "the name of a model"
    OWNER = "the name of an owner"
    UNKNOWN = "nothing that this log is searched by"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was typed: `value` is a decimal number, 64 lower-case hex digits, an id, or a name."""

    form: Form
    value: str


# Content has one address everywhere, so the host of an envelope or a key does not matter; an index
# means another entry in another log, so the address of an entry is not taken.
_FORMS = (
    (Form.INDEX, re.compile(r"#?(?P<value>[0-9]{1,18})", re.ASCII)),
    (Form.DIGEST, re.compile(r"(?:sha256[:-])?(?P<value>[0-9a-f]{64})", re.IGNORECASE)),
    (Form.ENVELOPE, re.compile(_SITE + r"/(?:[^\s?#]+/)?envelopes/(?P<value>[0-9a-f]{64})")),
    (Form.KEY, re.compile(_SITE + r"/keys/(?P<value>[0-9a-f]{64})/?")),
    (Form.EXECUTION, re.compile(rf"(?:{_SITE}/executions/)?(?P<value>{_UUID})/?", re.IGNORECASE)),
    (Form.MODEL, re.compile(rf"(?P<value>{_NAME}/{_NAME})/?")),
    (Form.OWNER, re.compile(rf"(?P<value>{_NAME})/?")),
)
_LOWERED = (Form.DIGEST, Form.EXECUTION)
_BASE64 = re.compile(r"[A-Za-z0-9+/]{43}=")


def recognise(typed: str) -> Asked:
    """Return what `typed` is; every text is something, if only unknown."""
    text = typed.strip()
    if _BASE64.fullmatch(text):  # as Rekor's leaves and bundles write a digest
        return Asked(form=Form.DIGEST, value=base64.b64decode(text).hex())
    for form, pattern in _FORMS:
        if match := pattern.fullmatch(text):
            value = match["value"]
            return Asked(form=form, value=value.lower() if form in _LOWERED else value)
    return Asked(form=Form.UNKNOWN, value=text)
