"""The pages of a person's schedules: list, history, pause, resume, stop. No script is needed."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from inference.errors import BadScheduleError
from inference.services import schedules
from registry.views.visitor import signed_in

_ACTIONS = {
    "pause": (schedules.pause, "The schedule is paused."),
    "resume": (schedules.resume, "The schedule goes on."),
    "stop": (schedules.stop, "The schedule is stopped. Its history stays."),
}


@login_required
@require_safe
def schedule_list(request: HttpRequest) -> HttpResponse:
    """List the reader's schedules; `?stopped=1` those that have ended."""
    stopped = request.GET.get("stopped") == "1"
    rows = schedules.schedules_of(request.user).filter(stopped_at__isnull=not stopped)
    context = {"schedules": rows[: schedules.PAGE], "stopped": stopped}
    return render(request, "inference/schedules.html", context)


@login_required
@require_safe
def schedule_page(request: HttpRequest, schedule: uuid.UUID) -> HttpResponse:
    """Show a schedule of the reader's with what it has queued; `?cursor=` goes on."""
    row = schedules.find_schedule(schedule, request.user)
    page = schedules.history(row, cursor=request.GET.get("cursor", ""))
    context = {"schedule": row, "fires": page.fires, "next": page.next}
    return render(request, "inference/schedule.html", context)


@login_required
@require_POST
def change(request: HttpRequest, schedule: uuid.UUID, action: str) -> HttpResponse:
    """Pause, resume or stop a schedule of the reader's."""
    if action not in _ACTIONS:
        raise Http404
    act, words = _ACTIONS[action]
    try:
        act(signed_in(request), schedule)
    except BadScheduleError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, words)
    return redirect(f"/schedules/{schedule}/")
