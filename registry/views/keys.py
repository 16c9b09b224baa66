"""Keys' pages: one key with its history, an import, a new name; who signed a model."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from assay.dsse import PublicKey, parse_envelope
from assay.errors import AssayError
from ledger import services as ledger
from registry import proofs, selectors, signers
from registry.choices import Action
from registry.errors import BadSignatureError, InvalidInputError, RegistryError
from registry.listing import releases_of_key
from registry.members import owners_for
from registry.models import Key, Owner
from registry.rights import can
from registry.services import keys
from registry.views.shown import shown
from registry.views.visitor import signed_in

# A signing configuration of cosign that names no log: the statement is signed and sent nowhere.
NO_LOG = (
    '{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json",'
    '"rekorTlogConfig":{},"tsaConfig":{}}'
)


# ------------------------------------------------------------------ one key


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A line of a key's history: what happened, the other key it names, where it is logged."""

    what: str
    entry: Any
    other: str = ""
    note: str = ""

    @property
    def at(self) -> datetime:
        """When the statement came in."""
        found: datetime = self.entry.created_at
        return found

    @property
    def signer(self) -> str:
        """The fingerprint of the key that signed the entry."""
        return str(self.entry.fingerprint)


def events(key: Key, successor: Key | None) -> list[Event]:
    """Return the history of `key`, oldest first."""
    began = "registered, and took the place of" if key.previous_id else "registered"
    found = [Event(what=began, entry=key.entry, other=key.previous_id or "")]
    if key.supersession and successor:
        found.append(
            Event(what="superseded by", entry=key.supersession, other=successor.fingerprint)
        )
    if key.revocation:
        found.append(Event(what="revoked", entry=key.revocation, note=key.revocation_reason))
    return found


@require_safe
def key(request: HttpRequest, fingerprint: str) -> HttpResponse:
    """Show a key, its whole history, and what it signed that the reader may know of."""
    found = selectors.find_key(fingerprint)
    successor = Key.objects.filter(previous=found).first()
    context = {
        "key": found,
        "events": events(found, successor),
        "end": found.supersession or found.revocation,
        "successor": successor,
        "releases": releases_of_key(found, request.user, selectors.PAGE),
        "pem": PublicKey(spki=bytes(found.spki)).pem,
        "fingerprint_line": "openssl pkey -pubin -in key.pem -outform DER | sha256sum",
    }
    return render(request, "registry/key.html", context)


@login_required
@require_POST
def rename(request: HttpRequest, fingerprint: str) -> HttpResponse:
    """Give one of the reader's keys another name."""
    try:
        keys.rename(signed_in(request), fingerprint, name=request.POST.get("name", ""))
    except RegistryError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, "The key has its new name.")
    return redirect("/settings/keys/")


# ------------------------------------------------------------------ a key made elsewhere


class KeyForm(forms.Form):
    """The public half of a key that was made elsewhere."""

    owner = forms.ChoiceField(help_text="Whose key it is.")
    name = forms.CharField(
        max_length=80,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="So that you can tell your keys apart, for example 'build machine'.",
    )
    public_key = forms.CharField(
        label="Public key",
        max_length=2 * proofs.MAX_PEM,
        widget=forms.Textarea(
            attrs={"rows": 5, "spellcheck": "false", "autocomplete": "off", "class": "mono"}
        ),
        help_text="ECDSA P-256 in PEM: cosign.pub, or the .pub file of assay keygen. Never the "
        "private key.",
    )

    def __init__(self, owners: list[Owner], *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        choices = [(owner.name, owner.name) for owner in owners]
        self.fields["owner"] = forms.ChoiceField(choices=choices, help_text="Whose key it is.")


class ProofForm(forms.Form):
    """What the key's holder signed."""

    proof = forms.CharField(
        label="proof.json",
        max_length=100_000,
        widget=forms.Textarea(
            attrs={"rows": 8, "spellcheck": "false", "autocomplete": "off", "class": "mono"}
        ),
        help_text="The whole file that the command above wrote.",
    )


@login_required
@require_http_methods(["GET", "POST"])
def import_key(request: HttpRequest) -> HttpResponse:
    """Register a key that was made elsewhere: paste it, sign what the page shows, paste that.

    Nothing is kept between the two steps; the form carries what the first one was told.
    """
    user = signed_in(request)
    owners = owners_for(user, Action.KEYS)
    form = KeyForm(owners, request.POST or None)
    context: dict[str, Any] = {"form": form, "owners": owners}
    problem: RegistryError | None = None
    if form.is_valid():
        try:
            public = proofs.import_public_key(form.cleaned_data["public_key"])
            context |= _second_step(public, form.cleaned_data["owner"])
            proof = ProofForm(request.POST if "proof" in request.POST else None)
            context["proof_form"] = proof
            if proof.is_valid():
                made = _register(user, public, proof.cleaned_data["proof"], form.cleaned_data)
                messages.success(request, f"The key '{made.name}' is registered.")
                return redirect(f"/keys/{made.fingerprint}/")
        except RegistryError as error:
            problem = error
    failed = problem is not None or bool(form.errors)
    return render(
        request,
        "settings/import_key.html",
        {**context, "problem": problem},
        status=400 if failed else 200,
    )


def _register(user: AbstractBaseUser, public: PublicKey, proof: str, given: Any) -> Key:
    try:
        envelope = parse_envelope(proofs.parse_proof(proof))
    except AssayError as error:
        raise InvalidInputError(f"This is no signed statement: {error}.", field="proof") from error
    found = keys.read(envelope)
    if found.key != public:
        raise BadSignatureError(
            "The statement is about another key than the one that was pasted.",
            claim=keys.CLAIM,
            field="predicate.publicKey",
            expected=public.fingerprint,
            found=found.key.fingerprint,
        )
    return keys.register(user, envelope, name=given["name"])


def _second_step(public: PublicKey, owner: str) -> dict[str, Any]:
    statement = proofs.registration(public, owner, ledger.observed()).decode("utf-8")
    write = f"printf %s {shlex.quote(statement)} > statement.json"
    return {
        "public": public,
        "statement": statement,
        "write_line": write,
        "cosign_lines": f"printf %s {shlex.quote(NO_LOG)} > no-log.json\n"
        "cosign attest-blob --key cosign.key --statement statement.json \\\n"
        "  --signing-config no-log.json --bundle proof.json -y",
        "assay_line": "assay key prove statement.json --key key.pem --out proof.json",
        "direct_line": f"assay key register --key key.pem --owner {owner} --name desk "
        f"--url {settings.SITE_URL}",
    }


# ------------------------------------------------------------------ a member's key


class RequestForm(forms.Form):
    """What a member's browser made: the body of `POST /api/v1/keys`."""

    asked = forms.CharField(
        label="The request",
        max_length=20_000,
        widget=forms.Textarea(
            attrs={"rows": 8, "spellcheck": "false", "autocomplete": "off", "class": "mono"}
        ),
        help_text="All of the text that the member sent you. It holds no secret.",
    )


@login_required
@require_http_methods(["GET", "POST"])
def member_key(request: HttpRequest) -> HttpResponse:
    """Register the key of a member: paste their request, read whose it is, register it.

    Nothing is kept between the two steps; the form carries the request.
    """
    user = signed_in(request)
    form = RequestForm(request.POST or None)
    context: dict[str, Any] = {"form": form}
    if form.is_valid():
        try:
            envelope, name = proofs.parse_request(form.cleaned_data["asked"])
            if request.POST.get("do") == "register":
                made = keys.register(user, envelope, name=name)
                messages.success(request, f"The key '{made.name}' is registered.")
                return redirect(f"/keys/{made.fingerprint}/")
            context |= {"found": keys.look_at(user, envelope), "name": keys.check_name(name)}
        except RegistryError as error:
            context["problem"] = error
    failed = "problem" in context or bool(form.errors)
    return render(request, "settings/member_key.html", context, status=400 if failed else 200)


# ------------------------------------------------------------------ who signed a model


@require_safe
def model_signers(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Show who signed the releases of a model, from when to when."""
    found = shown(request, owner, name)
    context = {
        **found.context(),
        "signers": signers.history(found.model),
        "may_trust": can(request.user, Action.SETTINGS, found.model),
    }
    return render(request, "registry/signers.html", context)
