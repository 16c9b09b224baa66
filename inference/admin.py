"""Executions in the admin: to look at. Those of `worker_lost` are the dead letters."""

from __future__ import annotations

from typing import TypeVar

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from inference.models import Execution

_Row = TypeVar("_Row", bound=Model)


class ReadOnly(admin.ModelAdmin[_Row]):
    """No adding, no changing, no deleting."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: _Row | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: _Row | None = None) -> bool:
        return False


class Lost(admin.SimpleListFilter):
    """What no worker brought to an end in all its attempts: somebody should look."""

    title = "dead letters"
    parameter_name = "lost"

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Execution]
    ) -> list[tuple[str, str]]:
        return [("1", "worker_lost")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Execution]) -> QuerySet[Execution]:
        return queryset.filter(error_code="worker_lost") if self.value() == "1" else queryset


@admin.register(Execution)
class ExecutionAdmin(ReadOnly[Execution]):
    """What was asked and how it ended, without tensors, salts and receipts."""

    list_display = (
        *("id", "state", "error_code", "attempts", "model_name", "executor_kind", "priority"),
        *("created_at", "finished_at"),
    )
    list_filter = (Lost, "state", "executor_kind", "private")
    fields = (
        *("id", "caller", "batch", "retry_of", "state", "priority", "available_at", "deadline"),
        *("attempts", "max_attempts", "lease_until", "cancel_requested", "model_name", "manifest"),
        *("graph_path", "executor_kind", "executor", "error_code", "error_message", "run_ms"),
        *("queue_ms", "cold", "private", "disclosed_at", "keep_until", "dropped_at"),
        *("created_at", "finished_at"),
    )
    list_per_page = 50
    show_full_result_count = False
    ordering = ("-id",)
