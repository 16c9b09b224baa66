"""What a reader calls a model: `owner/name`, or the digest of its manifest.

A digest names content, whoever published it and wherever: the registry is asked which release has
it, and its answer is a hint. What was named is compared with what was signed, by the caller.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from assay.canonical import as_list, as_text
from assay.cli.api import Api, RefusedError, part_of
from assay.cli.releasing import model_path
from assay.digests import is_sha256, sha256_hex
from assay.errors import FormatError, MissingError, MisuseError, VerificationError
from assay.fetch import fetch
from assay.limits import LIMITS
from assay.manifest import Manifest, parse_manifest

_PREFIX = "sha256:"
_REVISION = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """What the reader said: a model with a version (`""`: the newest), or a manifest digest."""

    model: str = ""
    version: str = ""
    digest: str = ""

    def check(self, *, model: str, manifest: str) -> None:
        """Check that what was signed is what was named.

        Raises:
            VerificationError: another model, or another manifest.
        """
        if self.digest and self.digest != manifest:
            raise VerificationError("this is another model", expected=self.digest, found=manifest)
        if self.model and self.model.lower() != model.lower():
            raise VerificationError("this is another model", expected=self.model, found=model)


def parse_name(text: str, version: str) -> Name:
    """Return the name that `text` is: `owner/name`, 64 hex digits, or those after `sha256:`.

    Raises:
        MisuseError: neither, or a digest and a version.
    """
    digest = text.removeprefix(_PREFIX)
    if not is_sha256(digest):
        model_path(text)
        return Name(model=text, version=version)
    if version:
        raise MisuseError("a digest names one content: a version beside it says nothing")
    return Name(digest=digest)


def is_revision(version: str) -> bool:
    """Tell whether `version` is the id of a revision, which means one content for ever."""
    return _REVISION.fullmatch(version) is not None


def release_of(api: Api, digest: str) -> dict[str, Any]:
    """Return a release whose manifest has this digest, as the REST API tells of it.

    Raises:
        MissingError: the registry shows none.
        VerificationError: it sent another manifest.
        FormatError, RefusedError, UnavailableError: as `Api.call`.
    """
    base = api.base.rstrip("/")
    data = fetch(f"{base}/sha256/{digest}", limit=LIMITS.bundle)
    if sha256_hex(data) != digest:
        raise VerificationError(
            "the registry sent another manifest", expected=digest, found=sha256_hex(data)
        )
    for model in _signed(api, parse_manifest(data)):
        for item in _releases(api, model):
            if item.get("manifest") == digest:
                return item
    raise MissingError(f"{base} shows no release with the manifest {digest}")


def _signed(api: Api, manifest: Manifest) -> Iterator[str]:
    """Yield the models of which somebody signed a folder with these files, each once."""
    seen: set[str] = set()
    logs = _items(api.get("ledger/logs"), "logs")
    for log in reversed(logs):
        query = urlencode(
            {"kind": "oms", "digest": manifest.subject_digest, "log": str(log.get("origin"))}
        )
        for entry in _items(api.get(f"ledger/entries?{query}"), "entries"):
            model = as_text(entry.get("model"), "entries.model")
            if model not in seen:
                seen.add(model)
                yield model


def _releases(api: Api, model: str) -> Iterator[dict[str, Any]]:
    """Yield the releases of a model; none of one that moved, or that the reader may not see."""
    cursor = ""
    while True:
        try:
            page = api.get(f"{model_path(model)}/releases?cursor={part_of(cursor)}")
        except RefusedError:
            return
        yield from _items(page, "items")
        cursor = as_text(page.get("next"), "next")
        if not cursor:
            return


def _items(value: Any, name: str) -> list[dict[str, Any]]:
    items = as_list(value.get(name) if isinstance(value, dict) else None, name)
    if not all(isinstance(item, dict) for item in items):
        raise FormatError("is no list of objects", name)
    return items
