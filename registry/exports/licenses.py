"""The Hub's licence ids in the spelling of the SPDX licence list.

An id that names no one licence of the list (`cc`, `gpl`, `llama3`, `other`) has no SPDX id: such a
licence is exported by its name and address. The GNU licences without "only" or "or later" keep the
list's older ids, which say as little as the card does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry.services.evaluations import safe_link

_SAME_BUT_CASE = (
    "Apache-2.0 MIT AFL-3.0 Artistic-2.0 BSL-1.0 BSD-2-Clause BSD-3-Clause BSD-3-Clause-Clear "
    "CC0-1.0 CC-BY-2.0 CC-BY-2.5 CC-BY-3.0 CC-BY-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CC-BY-NC-2.0 "
    "CC-BY-NC-3.0 CC-BY-NC-4.0 CC-BY-ND-4.0 CC-BY-NC-ND-3.0 CC-BY-NC-ND-4.0 CC-BY-NC-SA-2.0 "
    "CC-BY-NC-SA-3.0 CC-BY-NC-SA-4.0 CDLA-Sharing-1.0 CDLA-Permissive-1.0 CDLA-Permissive-2.0 "
    "WTFPL ECL-2.0 EPL-1.0 EPL-2.0 etalab-2.0 EUPL-1.1 EUPL-1.2 AGPL-3.0 GPL-2.0 GPL-3.0 LGPL-2.1 "
    "LGPL-3.0 ISC LPPL-1.3c MS-PL MPL-2.0 OSL-3.0 PostgreSQL OFL-1.1 NCSA Unlicense Zlib"
)
_OTHERS = {
    "c-uda": "C-UDA-1.0",
    "odc-by": "ODC-By-1.0",
    "odbl": "ODbL-1.0",
    "pddl": "PDDL-1.0",
    "lgpl-lr": "LGPLLR",
}
SPDX_IDS = {**{spelled.lower(): spelled for spelled in _SAME_BUT_CASE.split()}, **_OTHERS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """A licence: its SPDX id, or its name and (perhaps) address; all `""` when none is known."""

    spdx: str = ""
    name: str = ""
    url: str = ""


def licence_of(metadata: Mapping[str, Any]) -> Licence:
    """Return the licence that a card names."""
    value = metadata.get("license")
    if not isinstance(value, str) or value in ("", "unknown"):
        return Licence()
    if value in SPDX_IDS:
        return Licence(spdx=SPDX_IDS[value])
    name, link = metadata.get("license_name"), metadata.get("license_link")
    url = safe_link(link) if isinstance(link, str) else ""
    return Licence(
        name=name if value == "other" and isinstance(name, str) else value,
        url="" if url.startswith("/") else url,
    )
