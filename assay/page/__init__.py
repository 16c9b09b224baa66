"""One HTML file that checks a receipt by itself, with no network: what `assay page` writes.

The file holds the receipt, what the reader trusts about the log (root, witness policy, one key, its
registration), the browser's verifier and a few words. The rules:

1. It loads nothing. Its policy (a `Content-Security-Policy` in the file) names the one script and
   the one style sheet by their SHA-256 and allows nothing else: no address, no further script.
2. All that a stranger wrote is one JSON text of base64 strings: no byte of it can end an element.
3. What the file says is worth as much as the file: whoever was handed one compares the fingerprints
   that it shows with those that they pinned. The file says so itself.

    render_page(PageParts(template=html, style=css, script=js, evidence=evidence))
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass

from assay.canonical import canonical_json, encode_base64
from assay.digests import sha256
from assay.errors import FormatError
from assay.page.modules import join_modules
from assay.verify import TrustedKey

__all__ = ["Evidence", "PageParts", "join_modules", "keys_document", "render_page"]

PAGE = "urn:assay:page:v1"
_POLICY = (
    "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; "
    "base-uri 'none'; form-action 'none'"
)
_PLACES = ("policy", "style", "evidence", "script")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the file is about: each document as the bytes that it was read from.

    `key` is the signer's public key in PEM where the maker of the file vouches for it, else `keys`
    is the document that lists it. `registration` is the bundle of the key's own registration.
    Tensors and salts are those of an execution. `made_at` is RFC 3339 in UTC.
    """

    receipt: bytes
    predicate_type: str
    trusted_root: bytes
    policy: bytes
    made_at: str
    keys: bytes | None = None
    key: bytes | None = None
    registration: bytes | None = None
    output: bytes | None = None
    output_salt: bytes | None = None
    input: bytes | None = None
    input_salt: bytes | None = None

    def to_json(self) -> bytes:
        """Return the evidence as JSON (RFC 8785) in ASCII: bytes in base64, null where absent."""
        documents = {
            "receipt": self.receipt,
            "trustedRoot": self.trusted_root,
            "policy": self.policy,
            "keys": self.keys,
            "key": self.key,
            "registration": self.registration,
            "output": self.output,
            "outputSalt": self.output_salt,
            "input": self.input,
            "inputSalt": self.input_salt,
        }
        return canonical_json(
            {
                "type": PAGE,
                "madeAt": self.made_at,
                "predicateType": encode_base64(self.predicate_type.encode("utf-8")),
                **{
                    name: None if data is None else encode_base64(data)
                    for name, data in documents.items()
                },
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PageParts:
    """The template with its four places `{{policy}}`, `{{style}}`, `{{evidence}}`, `{{script}}`."""

    template: str
    style: str
    script: str
    evidence: Evidence


def render_page(parts: PageParts) -> bytes:
    """Return the whole file, UTF-8.

    Raises:
        FormatError: the template lacks a place, or the style sheet would end its element.
    """
    if "</" in parts.style:
        raise FormatError("would end the element that it is put in", "style")
    text = {
        "policy": _POLICY.format(script=_hash(parts.script), style=_hash(parts.style)),
        "style": parts.style,
        "evidence": parts.evidence.to_json().decode("ascii"),
        "script": parts.script,
    }
    # Cut at the places first: what is put into one is never searched for the next.
    rest, whole = parts.template, ""
    for place in _PLACES:
        before, found, rest = rest.partition(f"{{{{{place}}}}}")
        if not found:
            raise FormatError(f"has no place for the {place}", "template")
        whole += before + text[place]
    return (whole + rest).encode("utf-8")


def keys_document(key: TrustedKey) -> bytes:
    """Return the document of trusted keys that lists `key` alone; `parse_keys` reads it."""
    places = {
        "log": key.log or None,
        "revoked": key.revoked,
        "revokedLog": key.revoked_log or None,
    }
    listed = {
        "fingerprint": key.key.fingerprint,
        "role": key.role,
        "owner": key.owner,
        "publicKey": key.key.pem,
        "index": key.index,
        **{name: value for name, value in places.items() if value is not None},
    }
    return canonical_json({"keys": [listed]})


def _hash(text: str) -> str:
    """Return the SHA-256 of an inline element's text, as a policy names it."""
    return b64encode(sha256(text.encode("utf-8"))).decode("ascii")
