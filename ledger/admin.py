"""The log in the admin: to look at. The database would refuse a change anyway."""

from __future__ import annotations

from typing import TypeVar

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from ledger.models import Checkpoint, Cosignature, Entry, Log

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
    """The log's head."""

    list_display = ("origin", "size", "frozen_at", "created_at")
    fields = ("origin", "vkey", "size", "frozen_at", "created_at")


@admin.register(Entry)
class EntryAdmin(ReadOnly[Entry]):
    """The entries, pending ones included."""

    list_display = ("index", "kind", "model", "fingerprint", "created_at")
    list_filter = ("kind",)
    search_fields = ("fingerprint", "model")
    fields = ("log", "index", "kind", "model", "fingerprint", "created_at")
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
    fields = ("checkpoint", "witness", "line", "seen_at")
    ordering = ("-pk",)
