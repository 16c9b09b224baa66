"""The log in the admin: to look at. The database would refuse a change anyway."""

from __future__ import annotations

from typing import TypeVar

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from ledger.models import (
    Allowance,
    Checkpoint,
    Cosignature,
    Entry,
    Leader,
    Log,
    StagedPayload,
)

_Row = TypeVar("_Row", bound=Model)


class ReadOnly(admin.ModelAdmin[_Row]):
    """No adding, no changing, no deleting."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: _Row | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: _Row | None = None) -> bool:
        return False


@admin.register(Log)
class LogAdmin(ReadOnly[Log]):
    """The logs and their heads."""

    list_display = ("origin", "size", "frozen_at", "successor", "created_at")
    fields = (
        *("origin", "vkey", "url", "place", "term", "size", "frozen_at", "successor"),
        "created_at",
    )


@admin.register(Leader)
class LeaderAdmin(ReadOnly[Leader]):
    """Which sequencer leads each log, and what it says of itself."""

    list_display = ("log", "state", "reason", "name", "term", "since", "beat_at")
    list_select_related = ("log",)
    fields = ("log", "state", "reason", "name", "term", "since", "beat_at")
    ordering = ("-log",)


@admin.register(Entry)
class EntryAdmin(ReadOnly[Entry]):
    """The entries, pending ones included."""

    list_display = ("index", "kind", "model", "owner", "fingerprint", "created_at")
    list_filter = ("kind",)
    search_fields = ("fingerprint", "model", "owner")
    fields = ("log", "index", "kind", "model", "owner", "fingerprint", "created_at")
    ordering = ("-pk",)


@admin.register(Checkpoint)
class CheckpointAdmin(ReadOnly[Checkpoint]):
    """The signed tree heads."""

    list_display = ("size", "signed_at", "published_at")
    fields = ("log", "size", "signed_at", "published_at")
    ordering = ("-size",)


@admin.register(Cosignature)
class CosignatureAdmin(ReadOnly[Cosignature]):
    """The witnesses' lines."""

    list_display = ("checkpoint", "witness", "seen_at")
    fields = ("checkpoint", "witness", "key_id", "line", "seen_at")
    ordering = ("-pk",)


@admin.register(StagedPayload)
class StagedPayloadAdmin(ReadOnly[StagedPayload]):
    """Payloads that were handed in and that nobody has logged yet."""

    list_display = ("__str__", "payload_type", "staged_by", "created_at")
    list_display_links = None  # a digest in bytes is no part of an address
    search_fields = ("staged_by",)
    ordering = ("-created_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[StagedPayload]:
        return super().get_queryset(request).defer("payload")


@admin.register(Allowance)
class AllowanceAdmin(ReadOnly[Allowance]):
    """How much each key or account may still ask of the open interfaces."""

    list_display = ("name", "tokens", "at")
    fields = ("name", "tokens", "at")
    search_fields = ("name",)
    ordering = ("name",)
