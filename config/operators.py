"""What staff read of the site's own state: parts, queue and executor, ledger.

Numbers and words only: no page here changes anything, shows a tensor, a salt or a secret. Who sees
executions in the admin sees the queue, who sees logs there sees the ledger.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from config import probes
from inference import metrics
from inference.choices import ExecutorKind
from inference.client import Status
from ledger import services as ledger
from ledger.errors import LedgerError
from ledger.models import Log
from ledger.policy import WitnessPolicyError
from ledger.selectors import find_log, newest_published, pending, witnessing

QUEUE, LEDGER = "inference.view_execution", "ledger.view_log"
MOST_PENDING = 10_000
MOST_LOGS = 20
View = Callable[[HttpRequest], HttpResponse]


def may_see(user: User | AnonymousUser) -> list[str]:
    """Return which of the two, queue and ledger, `user` may see."""
    return [permission for permission in (QUEUE, LEDGER) if user.has_perm(permission)]


def _for_staff(*permissions: str) -> Callable[[View], View]:
    """Let in staff that have one of `permissions`; who is signed out is asked to sign in."""

    def decorate(view: View) -> View:
        @wraps(view)
        def inner(request: HttpRequest) -> HttpResponse:
            if not any(request.user.has_perm(permission) for permission in permissions):
                raise PermissionDenied
            return view(request)

        guarded: View = never_cache(require_safe(secure_admin_login(inner)))
        return guarded

    return decorate


@_for_staff(QUEUE, LEDGER)
def state(request: HttpRequest) -> HttpResponse:
    """Show what `/readyz` tells, in words."""
    context = {"parts": probes.parts(), "data": settings.DATA}
    return render(request, "operator/parts.html", context)


@_for_staff(QUEUE)
def queue(request: HttpRequest) -> HttpResponse:
    """Show what waits and runs, and what the executor of this machine does."""
    found = metrics.queue()
    status = probes.executor_status()
    context = {
        "kinds": [
            {
                "name": kind,
                "claimable": int(found.claimable[kind]),
                "delayed": int(found.delayed[kind]),
                "oldest_s": round(found.oldest_s[kind], 1),
                "running": found.running[kind],
            }
            for kind in ExecutorKind.values
        ],
        "expired": found.expired_leases,
        "recent": metrics.recent(),
        "status": status,
        "executor": _executor(status) if status else (),
    }
    return render(request, "operator/queue.html", context)


def _executor(status: Status) -> list[tuple[str, object]]:
    counters = status.counters
    return [
        ("Model processes", f"{status.free} of {status.slots} free"),
        ("Models loaded", len(status.models)),
        ("Models run", counters["runs"]),
        ("Processes that ended under a model", counters["deaths"]),
        ("Processes started again", status.restarts),
    ]


@_for_staff(LEDGER)
def log(request: HttpRequest) -> HttpResponse:
    """Show how the log fares, who leads it, and who cosigned its newest checkpoint."""
    context: dict[str, object] = {"logs": Log.objects.order_by("-pk")[:MOST_LOGS]}
    try:
        row = find_log("")
        newest = newest_published(row)
        context |= {
            "log": row,
            "standing": ledger.log_state(row),
            "newest": newest,
            "waiting": pending(row, MOST_PENDING),
            "most": MOST_PENDING,
            "witnessing": witnessing(newest),
        }
    except WitnessPolicyError as error:
        context["trouble"] = error.message
    except LedgerError as error:
        context["trouble"] = error.message
    return render(request, "operator/ledger.html", context)
