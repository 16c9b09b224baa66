"""How to cite a release: the Citation File Format 1.2.0, and BibTeX.

Only names that the registry checked stand in them, and digests: nothing that a card says but its
licence. The manifest digest makes the citation one of these very bytes. Where moderators
stopped the card, a comment at the head of CITATION.cff says why there is no licence.
"""

from __future__ import annotations

import re

from assay.canonical import canonical_json
from registry.exports.described import Described
from registry.exports.licenses import licence_of

_SPECIAL = re.compile(r"([_#%&$])")


def render_cff(release: Described) -> bytes:
    """Return the release's CITATION.cff: YAML whose texts are all in double quotes."""
    licence = licence_of(release.metadata)
    fields: list[tuple[str, str]] = [
        ("cff-version", "1.2.0"),
        ("message", "If you use this model, please cite it as below."),
        ("type", "software"),
        ("title", release.model),
        ("version", release.version),
        ("date-released", release.released_at.strftime("%Y-%m-%d")),
        ("url", release.page),
    ]
    if licence.spdx:
        fields.append(("license", licence.spdx))
    elif licence.url:
        fields.append(("license-url", licence.url))
    lines = [f"{key}: {_quoted(value)}" for key, value in fields]
    if release.withheld:
        lines.insert(
            0, f"# Moderators stopped the card, nothing of it is quoted: {release.withheld}"
        )
    lines += ["authors:", f"  - name: {_quoted(release.owner)}", "identifiers:"]
    for value, about in (
        (f"sha256:{release.manifest}", "SHA-256 of the manifest of all files"),
        (release.revision, "revision"),
    ):
        lines += [
            '  - type: "other"',
            f"    value: {_quoted(value)}",
            f"    description: {_quoted(about)}",
        ]
    return "".join(f"{line}\n" for line in lines).encode("utf-8")


def _quoted(text: str) -> str:
    return canonical_json(text).decode("utf-8")


def render_bibtex(release: Described) -> bytes:
    """Return the release as one `@misc` entry."""
    key = re.sub(r"[^A-Za-z0-9.-]", "_", f"{release.owner}_{release.name}_{release.version}")
    fields = {
        "title": f"{{{_latex(release.name)}}}",
        "author": f"{{{_latex(release.owner)}}}",
        "year": release.released_at.strftime("%Y"),
        "month": release.released_at.strftime("%b").lower(),
        "version": _latex(release.version),
        "url": release.page,
        "note": f"Revision {release.revision}, manifest SHA-256 {release.manifest}",
    }
    body = "".join(
        f"  {name} = {value},\n" if name == "month" else f"  {name} = {{{value}}},\n"
        for name, value in fields.items()
    )
    return f"@misc{{{key},\n{body}}}\n".encode()


def _latex(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)
