"""Moderation of storage: quotas of single owners, appeals against inspections."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest

from registry.choices import AppealState
from registry.errors import RegistryError
from registry.models import Appeal, Quota
from registry.services import appeals, audit


@admin.register(Quota)
class QuotaAdmin(admin.ModelAdmin[Quota]):
    """What single owners may have, where that differs from the settings."""

    list_display = ("owner", "max_bytes", "max_models", "max_uploads")
    list_select_related = ("owner",)
    search_fields = ("owner__name",)
    raw_id_fields = ("owner",)

    def save_model(self, request: HttpRequest, obj: Quota, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        given = {"bytes": obj.max_bytes, "models": obj.max_models, "uploads": obj.max_uploads}
        audit.note(request.user, "quota.set", obj.owner.name, about=obj.owner, **given)  # type: ignore[arg-type]  # the admin lets nobody in without an account


class AnswerForm(forms.ModelForm[Appeal]):
    """A moderator's answer; what the publisher said stays as it is."""

    decision = forms.ChoiceField(
        choices=(
            (AppealState.UPHELD, "The refusal stands"),
            (AppealState.AGAIN, "Inspect it again"),
        )
    )

    class Meta:
        model = Appeal
        fields = ("answer",)


@admin.register(Appeal)
class AppealAdmin(admin.ModelAdmin[Appeal]):
    """Appeals, those that wait first. Nobody lets a file through by hand."""

    form = AnswerForm
    list_display = ("created_at", "revision", "user", "state", "answered_at")
    list_select_related = ("revision", "user")
    list_filter = ("state",)
    ordering = ("answered_at", "-created_at")
    readonly_fields = ("revision", "user", "text", "findings", "state", "moderator", "answered_at")
    fields = (*readonly_fields, "decision", "answer")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Appeal | None = None) -> bool:
        waiting = obj is None or obj.state == AppealState.WAITING
        return waiting and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Appeal | None = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Appeal | None = None) -> Any:
        if obj is not None and obj.state != AppealState.WAITING:
            return (*self.readonly_fields, "answer")
        return self.fields

    def save_model(self, request: HttpRequest, obj: Appeal, form: Any, change: bool) -> None:
        decision, words = form.cleaned_data["decision"], form.cleaned_data["answer"]
        try:
            appeals.answer(request.user, obj, decision, words)  # type: ignore[arg-type]  # the admin lets nobody in without an account
        except RegistryError as error:
            messages.error(request, error.message)
