"""`/settings/sessions/`: where the reader is signed in, and ending that."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from registry.services import sessions as services
from registry.views.visitor import signed_in

SESSIONS = "/settings/sessions/"


@login_required
@never_cache
@require_safe
def sessions(request: HttpRequest) -> HttpResponse:
    """List the sessions, this one first; their keys stay secret."""
    here = request.session.session_key or ""
    found = services.of(signed_in(request)).defer("session_data")[: services.MOST]
    rows = [
        {
            "handle": services.handle(row.session_key),
            "device": row.device or services.UNKNOWN,
            "signed_in_at": row.signed_in_at,
            "seen_at": row.seen_at,
            "here": row.session_key == here,
        }
        for row in found
    ]
    rows.sort(key=lambda row: not row["here"])
    context = {"sessions": rows, "most": services.MOST}
    return render(request, "settings/sessions.html", context)


@login_required
@require_POST
def end_session(request: HttpRequest, handle: str) -> HttpResponse:
    """End one of the reader's sessions."""
    if services.end(signed_in(request), handle):
        messages.success(request, "The session has ended.")
    else:
        messages.error(request, "That session had ended before.")
    return redirect(SESSIONS)


@login_required
@require_POST
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    """End all sessions but this one."""
    ended = services.end_others(signed_in(request), request.session.session_key)
    words = f"{ended} other sessions have ended." if ended else "There was no other session."
    messages.success(request, words)
    return redirect(SESSIONS)
