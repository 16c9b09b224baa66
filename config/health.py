"""Is the process alive, and can it do its work?

`/readyz` names every part. Only those without which nothing here is answered rightly (database,
migrations, storage) make it 503: when the broker, the sequencer or the executor is away, this
process still serves readers, and taking it out of the proxy would help nobody. They stand under
`degraded`; `?all=1` answers 503 for them too, for whoever watches the whole site.

What was found is used for `INFER_REMEMBER_MS`, so that strangers who ask often cost no more.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from config.probes import Part, parts

_NOW = {"Cache-Control": "no-store"}


@dataclass(slots=True)
class _Found:
    """What was found last, and when by this process's clock."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    at: float = float("-inf")
    parts: list[Part] = field(default_factory=list)

    def get(self) -> list[Part]:
        """Return what is known, asked anew when it is old; who comes meanwhile waits for it."""
        with self.lock:
            if (time.monotonic() - self.at) * 1000 >= settings.INFER_REMEMBER_MS:
                self.parts = parts()
                self.at = time.monotonic()
            return self.parts


_found = _Found()


@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """Answer 200 while this process runs."""
    return JsonResponse({"live": True}, headers=_NOW)


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 when this process can do its work, else 503; name every part."""
    found = _found.get()
    able = all(part.works for part in found if part.needed)
    degraded = [part.name for part in found if not part.works]
    body = {
        "ready": able,
        "degraded": degraded,
        "parts": {
            part.name: {"works": part.works, "needed": part.needed, "words": part.words}
            for part in found
        },
    }
    good = not degraded if request.GET.get("all") == "1" else able
    return JsonResponse(body, status=200 if good else 503, headers=_NOW)
