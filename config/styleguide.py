"""`/styleguide/`: every component in each of its states, for people who change the pages.

It is there while `DEBUG` is on, and nowhere else. What it shows is made up: no query, no model.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from django import forms
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from ledger.selectors import Cosigned, Witnessing
from ledger.views import charts

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HEX = "9b9ffe55b166f07943330608179981612b04a0658cc4a2fa345065b8e7df0b66"
COLOURS = (
    *("bg", "surface", "sunken", "border", "control", "text", "muted", "accent", "on-fill"),
    *("ok", "ok-tint", "warn", "warn-tint", "bad", "bad-tint", "info", "info-tint"),
)
EVIDENCE = (
    ("server", "server says: in checkpoint 1204"),
    ("checked", "checked here 14:02:31 UTC: in checkpoint 1204"),
    ("failed", "failed: the output has another digest"),
    ("unknown", "could not check: this browser is offline"),
    ("pending", "waiting for a checkpoint: one is made within seconds"),
    ("none", "none"),
)
DIFFERENCE = (
    ("hunk", "@@ -1,3 +1,3 @@"),
    ("", "license: mit"),
    ("del", "-task: image-classification"),
    ("ins", "+task: object-detection"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogState:
    """A log, and how it fares."""

    log: Any
    standing: Any


class Example(forms.Form):
    """A field of each kind; `wrong` has an error."""

    name = forms.CharField(help_text="Letters, digits, '.', '_' and '-'.")
    kind = forms.ChoiceField(choices=[("a", "public"), ("b", "private")])
    notes = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), required=False)
    agree = forms.BooleanField(label="I have read what I sign", required=False)
    scope = forms.ChoiceField(
        choices=[("read", "read"), ("write", "read and write")], widget=forms.RadioSelect
    )
    file = forms.FileField(required=False)
    wrong = forms.IntegerField(label="A field with an error", min_value=1)


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Show the components."""
    if not settings.DEBUG:
        raise Http404
    form = Example({"name": "double", "kind": "a", "scope": "read", "wrong": "0"})
    context = {
        **_words(),
        **_drawn(),
        "colours": COLOURS,
        "form": form,
        "problem": {
            "message": "The server's digest is another one.",
            "detail": {"expected": HEX[:16], "found": HEX[16:32]},
        },
        "tones": ("", "info", "warn", "bad", "muted"),
        "callouts": ("", "warn", "bad"),
        "log_states": _log_states(),
        "shown_head": _head(),
        "evidence": EVIDENCE,
    }
    return render(request, "styleguide.html", context)


def _words() -> dict[str, Any]:
    return {
        "hex": HEX,
        "noon": NOON,
        "steps": ["Choose", "Describe", "Sign", "Receipt"],
        "difference": DIFFERENCE,
        "life": [
            {"state": "done", "words": "Taken in", "at": NOON},
            {"state": "failed", "words": "Asked the witness wanda", "detail": "no answer in 1 s"},
            {"state": "now", "words": "Asking again"},
            {"state": "next", "words": "Cosigned by 2 witnesses", "detail": "1 of 3 so far"},
        ],
        "facts": [("Opset", "17"), ("Parameters", "4 810"), ("Licence", "mit")],
    }


def _drawn() -> dict[str, Any]:
    grown = [(NOON + timedelta(minutes=n), n * n) for n in range(12)]
    waits = [0.2, 0.3, 0.25, 4.0, 0.31, 90.0, 0.22]
    ends = ("checkpoint 1", "7")
    rows = [("wanda", (True,) * 7), ("walter", (True, False, True, True, False, True, True))]
    return {
        "charts": [
            charts.steps("Growth", "121 entries since noon.", grown),
            charts.delays("Delay", "Half waited less than 0.3 s.", waits, ends),
            charts.presence("Presence", "Two of three are always there.", rows, ends),
        ]
    }


def _head() -> SimpleNamespace:
    signed = (Cosigned(name="wanda", at=NOON),)
    found = Witnessing(signed=signed, silent=("walter",), others=(), needed=1, met=True)
    return SimpleNamespace(size=1204, root=HEX, signed_at=NOON, witnessing=found)


def _log_states() -> list[LogState]:
    log = SimpleNamespace(frozen_at=None, size=1204, successor="")
    frozen = SimpleNamespace(frozen_at=NOON, size=1204, successor="2027.example.org")
    reasons = {"held": "The disk is nearly full.", "stopped": "Two roots of size 3.", "absent": ""}
    states = [
        LogState(log=log, standing=SimpleNamespace(state=state, reason=reason, since=NOON))
        for state, reason in reasons.items()
    ]
    return [*states, LogState(log=frozen, standing=None)]
