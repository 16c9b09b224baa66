"""The pages of webhooks: make, see what was sent, test, send again, delete. No script is needed."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from inference.errors import InferenceError, TooManyWebhooksError
from inference.models import Hook
from inference.services import hooks
from inference.webhooks.guard import MAX_URL
from registry.choices import Action
from registry.members import owners_for
from registry.models import Model, Owner
from registry.services.webhooks import EVENTS, GROUPS, find_about
from registry.views.visitor import signed_in


class HookForm(forms.Form):
    """Where to, and which events; of executions there is one event only."""

    url = forms.CharField(
        max_length=MAX_URL,
        label="Address",
        widget=forms.URLInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="A public https address.",
    )
    events = forms.MultipleChoiceField(
        required=False,
        choices=[(group, group) for group in GROUPS],
        widget=forms.CheckboxSelectMultiple,
        help_text="None chosen: all of them.",
    )

    def __init__(self, *args: Any, choose: bool, **named: Any) -> None:
        super().__init__(*args, **named)
        if not choose:
            del self.fields["events"]


def _about(request: HttpRequest) -> Owner | Model | None:
    owner, model = request.GET.get("owner", ""), request.GET.get("model", "")
    if not owner and not model:
        return None
    return find_about(signed_in(request), owner=owner, model=model)


def _address(about: Owner | Model | None) -> str:
    if about is None:
        return "/settings/webhooks/"
    asked = {"model": about.full_name} if isinstance(about, Model) else {"owner": about.name}
    return f"/settings/webhooks/?{urlencode(asked)}"


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def webhooks(request: HttpRequest) -> HttpResponse:
    """List webhooks: the reader's own, or those of `?owner=` or `?model=`; make one."""
    user, about = signed_in(request), _about(request)
    form = HookForm(request.POST or None, choose=about is not None)
    made: hooks.Made | None = None
    if form.is_valid():
        given = form.cleaned_data
        try:
            made = hooks.create(user, given["url"], about=about, events=given.get("events", ()))
        except TooManyWebhooksError as error:
            form.add_error(None, error.message)
        except InferenceError as error:
            form.add_error("url", error.message)
    rows = hooks.hooks_of(user) if about is None else hooks.hooks_about(about)
    context = {
        "form": HookForm(choose=about is not None) if made else form,
        "made": made,
        "hooks": rows,
        "about": about,
        "owners": owners_for(user, Action.SETTINGS),
        "events": EVENTS,
    }
    status = 400 if form.errors else 200
    return render(request, "settings/webhooks.html", context, status=status)


@login_required
@require_safe
def webhook(request: HttpRequest, webhook: uuid.UUID) -> HttpResponse:
    """Show a webhook with what was sent to it; `?cursor=` goes on."""
    row = hooks.manage_hook(webhook, request.user)
    page = hooks.deliveries(row, cursor=request.GET.get("cursor", ""))
    context = {"hook": row, "list_url": _list_of(row), "page": page}
    return render(request, "settings/webhook.html", context)


def _list_of(row: Hook) -> str:
    watch = row.watch
    return _address(None if watch is None else watch.model or watch.owner)


@login_required
@require_POST
def test(request: HttpRequest, webhook: uuid.UUID) -> HttpResponse:
    """Send a message that tells of nothing."""
    row = hooks.manage_hook(webhook, request.user)
    try:
        hooks.send_test(row)
    except InferenceError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, "A test message is under way.")
    return redirect(f"/settings/webhooks/{webhook}/")


@login_required
@require_POST
def redeliver(request: HttpRequest, webhook: uuid.UUID, delivery: uuid.UUID) -> HttpResponse:
    """Send a message again."""
    row = hooks.manage_hook(webhook, request.user)
    try:
        hooks.redeliver(row, delivery)
    except InferenceError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, "The message is sent again.")
    return redirect(f"/settings/webhooks/{webhook}/")


@login_required
@require_POST
def delete(request: HttpRequest, webhook: uuid.UUID) -> HttpResponse:
    """Delete a webhook with its secret and its deliveries."""
    row = hooks.manage_hook(webhook, request.user)
    back = _list_of(row)
    hooks.delete(signed_in(request), webhook)
    messages.success(request, "The webhook is deleted. Nothing more is sent there.")
    return redirect(back)
