"""The forms of the registry's pages. Rules live in the services; these only read fields."""

from __future__ import annotations

from django import forms

from registry.choices import TokenScope, Visibility
from registry.services.cards import MAX_BYTES

_PLAIN = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}


class NewModelForm(forms.Form):
    """The name of a model and who may know of it."""

    name = forms.CharField(
        max_length=96,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text="Letters, digits, '.', '_' and '-'.",
    )
    visibility = forms.ChoiceField(
        choices=Visibility.choices,
        initial=Visibility.PUBLIC,
        help_text="A private model is for you alone; what you sign is in the public ledger anyway.",
    )


class CardForm(forms.Form):
    """The whole README.md. White space is part of the bytes, so nothing is stripped."""

    card = forms.CharField(strip=False, max_length=MAX_BYTES, widget=forms.Textarea)


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
        help_text="Take 'read' unless the program publishes or deletes.",
    )
