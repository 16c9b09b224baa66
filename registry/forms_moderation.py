"""The forms of readers who report, of owners who appeal, of moderators who act."""

from __future__ import annotations

from django import forms

from registry.choices import Act, Category, ObjectionState, Target
from registry.services import flags, moderation, objections
from registry.services.flags import Given

# A reader reports a cause; moderators alone correct.
_CATEGORIES = [("", "Choose one"), *(one for one in Category.choices if one[0] != "correction")]


class ReportForm(forms.Form):
    """What is wrong with something. `website` is seen by programs alone."""

    kind = forms.ChoiceField(label="What it is", choices=Target.choices)
    name = forms.CharField(
        label="Its name",
        max_length=300,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="owner/name of a model, owner/name@version of a release, owner's name, id of an "
        "execution, SHA-256 of a file or fingerprint of a key.",
    )
    category = forms.ChoiceField(label="Why", choices=_CATEGORIES)
    text = forms.CharField(
        label="What is wrong",
        min_length=flags.MIN_TEXT,
        max_length=flags.MAX_TEXT,
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text="So that somebody who does not know it can see it. Moderators read this; it is "
        "not published.",
    )
    email = forms.EmailField(
        label="Your e-mail address", required=False, help_text="Only if moderators may ask you."
    )
    website = forms.CharField(
        label="Leave this empty",
        required=False,
        max_length=300,
        widget=forms.TextInput(attrs={"autocomplete": "off", "tabindex": "-1"}),
    )

    def given(self, stamp: str) -> Given:
        """Return what was sent under this stamp, when it is whole."""
        data = self.cleaned_data
        return Given(
            kind=Target(data["kind"]),
            name=data["name"],
            category=Category(data["category"]),
            text=data["text"],
            email=data["email"],
            stamp=stamp,
            trap=data["website"],
        )


class AppealForm(forms.Form):
    """Why an action was wrong, in its owner's words."""

    text = forms.CharField(
        label="Why it was wrong, or what has changed",
        min_length=objections.MIN_TEXT,
        max_length=objections.MAX_TEXT,
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text="There is one appeal for an action. Another moderator than the one who acted "
        "answers; everybody reads the answer, and nobody but moderators this text.",
    )


class ActForm(forms.Form):
    """What a moderator wants done; `seen` is the newest action that they saw."""

    kind = forms.ChoiceField(label="Kind", choices=Target.choices)
    name = forms.CharField(
        label="Name",
        max_length=300,
        widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off"}),
    )
    act = forms.ChoiceField(label="Action", choices=Act.choices)
    category = forms.ChoiceField(label="Category", choices=[("", "Choose one"), *Category.choices])
    reason = forms.CharField(
        label="Reason",
        min_length=moderation.MIN_REASON,
        max_length=moderation.MAX_REASON,
        widget=forms.Textarea(attrs={"rows": 6, "class": "vLargeTextField"}),
        help_text="Everybody reads this text for ever: it is signed and goes into the ledger. "
        "Repeat nothing of what is wrong, and name no person who is not named already.",
    )

    def wanted(self, *, typed: str = "", seen: int = 0) -> moderation.Wanted:
        """Return what was asked for, when the form is whole."""
        data = self.cleaned_data
        return moderation.Wanted(
            act=Act(data["act"]),
            kind=Target(data["kind"]),
            name=data["name"],
            category=Category(data["category"]),
            reason=data["reason"],
            typed=typed,
            seen=seen,
        )


class DecisionForm(forms.Form):
    """How a moderator answers an appeal."""

    state = forms.ChoiceField(
        label="Decision",
        choices=(
            ("", "Choose one"),
            (ObjectionState.UPHELD.value, "The action stands"),
            (ObjectionState.GRANTED.value, "Undo the action"),
        ),
    )
    answer = forms.CharField(
        label="Answer",
        min_length=moderation.MIN_REASON,
        max_length=moderation.MAX_REASON,
        widget=forms.Textarea(attrs={"rows": 6, "class": "vLargeTextField"}),
        help_text="Everybody reads it. When the action is undone it is the reason that is signed.",
    )
