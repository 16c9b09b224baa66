"""The forms of the registry's pages. Rules live in the services; these only read fields."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms

from registry.choices import Visibility
from registry.services.cards import MAX_BYTES

_PLAIN = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}


class NewModelForm(forms.Form):
    """The name of a model and who may know of it."""

    owner = forms.ChoiceField(label="Owner", help_text="You, or an organisation of yours.")
    name = forms.CharField(
        max_length=96,
        widget=forms.TextInput(attrs=_PLAIN),
        help_text="Letters, digits, '.', '_' and '-'.",
    )
    visibility = forms.ChoiceField(
        choices=Visibility.choices,
        initial=Visibility.PUBLIC,
        help_text="A private model is for its owner alone, and everybody has to ask for the files "
        "of a gated one; what you sign is in the public ledger anyway.",
    )

    def __init__(self, *args: Any, owners: Iterable[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = list(owners)
        field = self.fields["owner"]
        if isinstance(field, forms.ChoiceField):
            field.choices = [(name, name) for name in names]
        if len(names) < 2 and self.data.get("owner", "") in ("", *names):  # nothing to choose
            del self.fields["owner"]


class CardForm(forms.Form):
    """The whole README.md. White space is part of the bytes, so nothing is stripped."""

    card = forms.CharField(strip=False, max_length=MAX_BYTES, widget=forms.Textarea)
