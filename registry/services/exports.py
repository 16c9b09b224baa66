"""The exports of a release by their file names; each the same bytes while its card is quoted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from assay.digests import sha256_hex
from registry import selectors
from registry.errors import InvalidInputError, UnknownFileError
from registry.exports import citation, cyclonedx, spdx
from registry.exports.described import Described, describe
from registry.models import Release, RevisionFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A form of export. `versions` is what `?spec=` may ask for, the default first."""

    name: str
    title: str
    content_type: str
    render: Callable[[Described, str], bytes]
    versions: tuple[str, ...] = ("",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """The bytes of an export. `etag` is the hex SHA-256 of them."""

    name: str
    content_type: str
    data: bytes

    @property
    def etag(self) -> str:
        return sha256_hex(self.data)


FORMATS = (
    Format(
        name="bom.cdx.json",
        title="CycloneDX",
        content_type="application/vnd.cyclonedx+json",
        render=cyclonedx.render,
        versions=cyclonedx.VERSIONS,
    ),
    Format(
        name="ai.spdx.json",
        title="SPDX 3.0.1",
        content_type="application/spdx+json",
        render=lambda release, _: spdx.render(release),
    ),
    Format(
        name="CITATION.cff",
        title="Citation File Format",
        content_type="application/yaml; charset=utf-8",
        render=lambda release, _: citation.render_cff(release),
    ),
    Format(
        name="citation.bib",
        title="BibTeX",
        content_type="application/x-bibtex; charset=utf-8",
        render=lambda release, _: citation.render_bibtex(release),
    ),
)
_BY_NAME = {one.name: one for one in FORMATS}


def export(release: Release, name: str, spec: str = "") -> Export:
    """Return `release` in the form `name`, in the version `spec` of it where there are several.

    Raises:
        UnknownFileError: no such form.
        InvalidInputError: the form has no such version.
    """
    form = _BY_NAME.get(name)
    if form is None:
        raise UnknownFileError(
            f"A release is exported as {', '.join(_BY_NAME)}, not as '{name[:80]}'."
        )
    version = spec or form.versions[0]
    if version not in form.versions:
        known = " or ".join(form.versions).strip() or "no version"
        raise InvalidInputError(f"'spec' is {known} for {name}.", field="spec")
    kind = form.content_type + (f"; version={version}" if version else "")
    told = describe(release, selectors.files(release.revision))
    return Export(name=name, content_type=kind, data=form.render(told, version))


def citations(release: Release, files: Iterable[RevisionFile]) -> dict[str, str]:
    """Return the two citations as texts, for a page that shows them and has read the files.

    Without a query, unless moderators stopped the card.
    """
    told = describe(release, files, whole=False)
    return {
        "cff": citation.render_cff(told).decode("utf-8"),
        "bibtex": citation.render_bibtex(told).decode("utf-8"),
    }
