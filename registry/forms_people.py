"""Forms about owners, members, gates and tokens. Rules live in the services."""

from __future__ import annotations

from typing import Any

from django import forms

from registry.choices import Action, Gate, Role, TokenScope, Visibility
from registry.errors import RegistryError
from registry.members import owners_for
from registry.models import Model
from registry.services.gates import MAX_REASON, MAX_TERMS
from registry.services.organisations import MAX_TITLE
from registry.services.tokens import DAYS, MAX_LIMITS

_PLAIN = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
_LIVES = ((7, "7 days"), (30, "30 days"), (DAYS, f"{DAYS} days"), (366, "a year"))


def refuse(form: forms.Form, error: RegistryError, fallback: str | None = None) -> None:
    """Put what a service refused beside the field that it names, else beside `fallback`."""
    field = str(error.detail.get("field", ""))
    form.add_error(field if field in form.fields else fallback, error.message)


class OrganisationForm(forms.Form):
    """A new organisation."""

    name = forms.CharField(
        max_length=96,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text="Stands in addresses, and never changes. Letters, digits, '.', '_' and '-'.",
    )
    title = forms.CharField(label="Name in full", max_length=MAX_TITLE, required=False)


class TitleForm(forms.Form):
    """The name in full."""

    title = forms.CharField(label="Name in full", max_length=MAX_TITLE, required=False)


class InviteForm(forms.Form):
    """Somebody to invite."""

    name = forms.CharField(
        label="User name", max_length=96, widget=forms.TextInput(attrs={**_PLAIN, "size": "20"})
    )
    role = forms.ChoiceField(
        choices=Role.choices,
        initial=Role.READER,
        help_text="A reader reads, a writer uploads, a publisher signs releases too, an admin "
        "does everything. Each may do what those before may.",
    )


class VisibilityForm(forms.Form):
    """Who may know of a model, and how requests for a gated one are answered."""

    visibility = forms.ChoiceField(
        choices=(
            (Visibility.PUBLIC, "Public: everybody has everything"),
            (Visibility.GATED, "Gated: everybody reads the card; files and runs on request"),
            (Visibility.PRIVATE, "Private: nobody else knows of it"),
        ),
        widget=forms.RadioSelect,
    )
    gate = forms.ChoiceField(
        label="Requests", choices=[(value, label.capitalize()) for value, label in Gate.choices]
    )
    terms = forms.CharField(
        label="What who asks is told",
        max_length=MAX_TERMS,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="For example what the files may be used for.",
    )


class TransferForm(forms.Form):
    """Who gets the model."""

    to = forms.CharField(
        label="New owner",
        max_length=96,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text="A person or an organisation. They have to accept, unless you decide for them.",
    )


class NameAgainForm(forms.Form):
    """What ends for ever asks for its name."""

    name = forms.CharField(max_length=200, widget=forms.TextInput(attrs=_PLAIN))

    def __init__(self, *args: Any, wanted: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._wanted = wanted
        self.fields["name"].label = f"Type {wanted} to say that you mean it"

    def clean_name(self) -> str:
        """Compare the two."""
        if self.cleaned_data["name"] != self._wanted:
            raise forms.ValidationError("This is another name.")
        return self._wanted


class AccessForm(forms.Form):
    """A request for the files of a gated model."""

    reason = forms.CharField(
        label="What do you need it for?",
        max_length=MAX_REASON,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="The owner reads this, with your user name.",
    )


class TokenForm(forms.Form):
    """A new API token."""

    name = forms.CharField(
        max_length=80,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="What will use it, for example 'CI'.",
    )
    scope = forms.ChoiceField(
        choices=TokenScope.choices,
        initial=TokenScope.READ,
        help_text="The least that does the job: 'write' uploads, 'publish' releases and moves "
        "aliases, 'admin' changes settings, keys and members.",
    )
    days = forms.TypedChoiceField(label="Lives", choices=_LIVES, initial=DAYS, coerce=int)
    owners = forms.MultipleChoiceField(
        label="Only for these owners", required=False, widget=forms.CheckboxSelectMultiple
    )
    models = forms.CharField(
        label="Only for these models",
        required=False,
        max_length=MAX_LIMITS * 200,
        widget=forms.Textarea(attrs={"rows": 2, **_PLAIN}),
        help_text="owner/name, one a line. With neither, it reaches whatever you reach.",
    )

    def __init__(self, *args: Any, user: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [owner.name for owner in owners_for(user, Action.READ)]
        field = self.fields["owners"]
        if isinstance(field, forms.MultipleChoiceField):
            field.choices = [(name, name) for name in names]
        if len(names) < 2:  # one's own name alone limits nothing
            del self.fields["owners"]

    def wishes(self) -> dict[str, Any]:
        """Return what the service takes."""
        given = self.cleaned_data
        return {
            "name": given["name"],
            "scope": given["scope"],
            "days": given["days"],
            "owners": given.get("owners", []),
            "models": given["models"].split(),
        }


class ActivityForm(forms.Form):
    """What to leave in of the audit log."""

    action = forms.CharField(
        required=False,
        max_length=40,
        widget=forms.TextInput(attrs={**_PLAIN, "placeholder": "token, release.yank"}),
    )
    by = forms.CharField(
        label="By whom", required=False, max_length=150, widget=forms.TextInput(attrs=_PLAIN)
    )
    since = forms.DateTimeField(
        label="From", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateTimeField(
        label="Before", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )


def visibility_form(model: Model, data: Any = None) -> VisibilityForm:
    """Return the form as `model` stands, or with what was typed."""
    return VisibilityForm(
        data,
        initial={
            "visibility": model.visibility,
            "gate": model.gate,
            "terms": model.gate_terms,
        },
    )
