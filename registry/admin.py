"""The stock admin over the registry: almost all of it is for reading."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as StockGroupAdmin, UserAdmin as StockUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Model as Row
from django.http import HttpRequest

from registry.models import (
    AccessRequest,
    Alias,
    ApiToken,
    AuditEvent,
    Claim,
    Key,
    Membership,
    Model,
    Owner,
    Release,
    ReservedName,
    Revision,
    Transfer,
    Upload,
)


class ReadOnly(admin.ModelAdmin[Any]):
    """Rows that only services write."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        return False


@admin.register(Owner)
class OwnerAdmin(ReadOnly):
    """Owners."""

    list_display = ("name", "kind", "user", "created_at")
    list_select_related = ("user",)
    search_fields = ("name",)


@admin.register(Membership)
class MembershipAdmin(ReadOnly):
    """Members of organisations, and who is invited."""

    list_display = ("owner", "user", "role", "state", "created_at")
    list_select_related = ("owner", "user")
    list_filter = ("role", "state")
    search_fields = ("owner__name", "user__username")


@admin.register(AccessRequest)
class AccessRequestAdmin(ReadOnly):
    """Requests for the files of gated models."""

    list_display = ("model", "user", "state", "asked_at", "decided_by")
    list_select_related = ("model__owner", "user", "decided_by")
    list_filter = ("state",)


@admin.register(Transfer)
class TransferAdmin(ReadOnly):
    """Models that change hands."""

    list_display = ("model", "source", "target", "state", "asked_by", "created_at")
    list_select_related = ("model__owner", "source", "target", "asked_by")
    list_filter = ("state",)


@admin.register(ReservedName)
class ReservedNameAdmin(ReadOnly):
    """Names may be reserved here, and are never given back."""

    list_display = ("name", "reason", "created_at")
    search_fields = ("name",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return admin.ModelAdmin.has_add_permission(self, request)


@admin.register(Model)
class ModelAdmin(ReadOnly):
    """Models."""

    list_display = ("__str__", "visibility", "head", "created_at")
    list_select_related = ("owner", "head")
    list_filter = ("visibility",)
    search_fields = ("name", "owner__name")


@admin.register(Revision)
class RevisionAdmin(ReadOnly):
    """Revisions."""

    list_display = ("id", "model", "state", "author", "created_at")
    list_select_related = ("model__owner", "author")
    list_filter = ("state",)
    search_fields = ("id", "manifest", "model__name")


@admin.register(Release)
class ReleaseAdmin(ReadOnly):
    """Releases."""

    list_display = ("__str__", "revision", "key", "author", "created_at", "yanked_at")
    list_select_related = ("model__owner", "author", "revision", "key")
    search_fields = ("version", "model__name", "key__fingerprint")


@admin.register(Claim)
class ClaimAdmin(ReadOnly):
    """Claims."""

    list_display = ("release", "kind", "entry")
    list_select_related = ("release__model__owner", "entry")
    list_filter = ("kind",)


@admin.register(Alias)
class AliasAdmin(ReadOnly):
    """Aliases."""

    list_display = ("name", "model", "release")
    list_select_related = ("model__owner", "release__model__owner")


@admin.register(Key)
class KeyAdmin(ReadOnly):
    """Keys."""

    list_display = ("fingerprint", "owner", "role", "state", "name", "created_at")
    list_select_related = ("owner",)
    list_filter = ("role", "state")
    search_fields = ("fingerprint", "owner__name")


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnly):
    """Tokens: their digests are worth nothing to a reader; deleting one revokes it."""

    list_display = ("name", "user", "scope", "created", "expiry", "last_used_at")
    list_select_related = ("user",)
    fields = ("name", "user", "scope", "created", "expiry", "last_used_at")

    def has_delete_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)


@admin.register(Upload)
class UploadAdmin(ReadOnly):
    """Uploads."""

    list_display = ("id", "user", "size", "state", "touched_at")
    list_select_related = ("user",)
    list_filter = ("state",)


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnly):
    """The audit log."""

    list_display = ("created_at", "user", "action", "target", "owner", "model", "token")
    list_select_related = ("user", "owner", "model__owner")
    list_filter = ("action",)
    search_fields = ("target",)


# ------------------------------------------------------------------ accounts

import_module("registry.admin_storage")  # quotas, appeals
import_module("registry.admin_moderation")
import_module("allauth.mfa.admin")  # registers the stock class, as the import of auth's above did
admin.site.unregister([User, Group, Authenticator])


@admin.register(User)
class UserAdmin(StockUserAdmin[User]):
    """Accounts. A user name is a name in addresses: it comes with sign-up and never changes."""

    readonly_fields = ("username", "last_login", "date_joined")
    filter_horizontal = ()  # its two lists have no names for who hears the page

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(Group)
class GroupAdmin(StockGroupAdmin):
    """What several accounts may do."""

    filter_horizontal = ()


@admin.register(Authenticator)
class AuthenticatorAdmin(ReadOnly):
    """Second factors: a lost one may be removed; their secrets are nobody's business."""

    list_display = fields = ("user", "type", "created_at", "last_used_at")
    list_select_related = ("user",)
    list_filter = ("type",)

    def has_delete_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)
