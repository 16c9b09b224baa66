"""The page where an owner says which builds may publish a model."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from registry import selectors
from registry.choices import Action
from registry.errors import RegistryError
from registry.issuers import trusted_issuers
from registry.rights import need
from registry.services import trusted
from registry.views.shown import shown
from registry.views.visitor import signed_in

_PLAIN = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}


class PublisherForm(forms.Form):
    """A workflow that may publish."""

    repository = forms.CharField(
        max_length=201,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text="owner/name, spelled as the build service does.",
    )
    workflow = forms.CharField(
        max_length=200,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text="The file in .github/workflows, for example release.yml.",
    )
    environment = forms.CharField(
        max_length=255,
        required=False,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text="Strongly advised: an environment can ask a person before a run goes on. "
        "Empty: any.",
    )

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        known = trusted_issuers()
        if len(known) > 1:
            self.fields["issuer"] = forms.ChoiceField(
                choices=[(issuer, issuer) for issuer in known]
            )


@login_required
@require_http_methods(["GET", "POST"])
def publishers(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """List the trusted publishers of a model, and take another one."""
    user = signed_in(request)
    found = shown(request, owner, name)
    need(user, Action.SETTINGS, found.model)
    form = PublisherForm(request.POST or None)
    problem: RegistryError | None = None
    if form.is_valid():
        try:
            trusted.add(user, found.model, **form.cleaned_data)
            messages.success(request, "The workflow is trusted.")
            return redirect(f"/models/{found.model.full_name}/trusted/")
        except RegistryError as error:
            problem = error
    context = {
        **found.context(),
        "form": form,
        "problem": problem,
        "publishers": trusted.publishers(found.model),
        "issuers": trusted_issuers(),
    }
    failed = problem is not None or bool(form.errors)
    return render(request, "registry/trusted.html", context, status=400 if failed else 200)


@login_required
@require_POST
def remove(request: HttpRequest, owner: str, name: str, publisher_id: int) -> HttpResponse:
    """Trust a publisher no more."""
    model = selectors.find_model(f"{owner}/{name}", request.user)
    try:
        trusted.remove(signed_in(request), model, publisher_id)
    except RegistryError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, "The workflow is trusted no more; its tokens have ended.")
    return redirect(f"/models/{model.full_name}/trusted/")
