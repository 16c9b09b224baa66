"""What went wrong, what is safe, what to do: errors as pages, or as JSON for who asks for no page.

The REST API and the plain paths get JSON, whatever their caller accepts.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template.loader import render_to_string

from config.api import AWAY, FAULT, TAKEN_DOWN, Problem, describe, json_problem, relocate
from config.middleware import is_plain
from registry.errors import MovedError

_WORDS = {
    400: ("That cannot be done with what was sent", "Correct it and send it again."),
    403: ("You may not do this", "Sign in as somebody who may, or ask the owner."),
    404: ("There is nothing here", "Look for it by name, digest, index or id."),
    409: ("The state has moved on", "Load the page again and look at what changed."),
    413: ("That is too large", "Send less at once."),
    451: ("Moderators took this down", "Read why; its owner may appeal there."),
    429: ("Too many requests", "Wait a little and try again."),
    503: ("Not available at the moment", "Try again in a moment."),
}
_SECRET = re.compile("password|csrf|credential|code")
_SAFE = "Nothing was changed. Whatever was acknowledged before is stored."


def wants_page(request: HttpRequest) -> bool:
    """Tell whether the caller reads pages: browsers say so, programs do not."""
    if request.path_info.startswith("/api/") or is_plain(request.path_info):
        return False
    return "text/html" in request.headers.get("Accept", "")


def answer(request: HttpRequest, problem: Problem) -> HttpResponse:
    """Answer `problem` in the caller's form."""
    if not wants_page(request):
        return json_problem(problem)
    title, todo = _WORDS.get(problem.status, _WORDS[400])
    context = {
        "status": problem.status,
        "code": problem.code,
        "title": title,
        "happened": problem.message,
        "detail": problem.detail,
        "safe": _SAFE,
        "todo": todo,
        "typed": request.path_info.strip("/"),
    }
    template = "moderation/taken_down.html" if problem.status == TAKEN_DOWN else "problem.html"
    response = render(request, template, context, status=problem.status)
    for name, value in problem.headers().items():
        response[name] = value
    return response


class ErrorPagesMiddleware:
    """Turn a domain error that a page's view raised into an answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer; None leaves the error to the handlers below or to Django."""
        if isinstance(error, AWAY) and wants_page(request):
            return _bare(request, "503.html", 503)
        problem = describe(error)
        if problem is not None and isinstance(error, MovedError):
            problem = relocate(problem, request.get_full_path(), error)
            if problem.location and wants_page(request):
                return _moved(request, problem)
        return None if problem is None else answer(request, problem)


def _moved(request: HttpRequest, problem: Problem) -> HttpResponse:
    """Lead a browser to where the model is now, for today: a model may come home."""
    status = 301 if request.method in ("GET", "HEAD") else 308
    return HttpResponse(status=status, headers=problem.headers())


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400, or 413: what Django itself refuses."""
    message = "This request is not well-formed."
    problem = describe(exception)
    return answer(request, problem or Problem(status=400, code="invalid_input", message=message))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403."""
    message = "You may not do this."
    return answer(request, Problem(status=403, code="not_allowed", message=message))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form without its token, and give back what was typed into it."""
    if not wants_page(request):
        message = "The CSRF token is missing or old."
        return json_problem(Problem(status=403, code="not_allowed", message=message))
    typed = [str(value) for name, value in request.POST.items() if not _SECRET.search(name)]
    return _bare(request, "403_csrf.html", 403, typed=[value for value in typed if value.strip()])


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404."""
    message = "No page has this address, or none that you may know of."
    return answer(request, Problem(status=404, code="not_found", message=message))


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a fault of ours without a word about its insides, and without the database."""
    if wants_page(request):
        return _bare(request, "500.html", 500)
    return json_problem(FAULT)


def _bare(request: HttpRequest, template: str, status: int, **context: object) -> HttpResponse:
    """Render without a context processor: they ask the database, which may be what is broken."""
    context["request_id"] = request.META.get("assay.request_id", "")
    return HttpResponse(render_to_string(template, context), status=status)
