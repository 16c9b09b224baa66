"""Forms about the reader's own account."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms

from registry.forms_people import NameAgainForm
from registry.models import Owner


class ClosingForm(NameAgainForm):
    """The user name again, and who gets the models."""

    to = forms.ChoiceField(
        label="Your models",
        required=False,
        widget=forms.RadioSelect,
        help_text="What was released stays either way, with your name on what you signed.",
    )
    field_order = ("to", "name")

    def __init__(self, *args: Any, heirs: Iterable[Owner], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", "stay under your name; nobody can change them any more")]
        choices += [(owner.name, f"go to {owner.name}") for owner in heirs]
        field = self.fields["to"]
        if isinstance(field, forms.ChoiceField):
            field.choices = choices
        if len(choices) == 1:
            del self.fields["to"]
