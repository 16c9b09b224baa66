"""Who may do what: the one table of rights, asked by every service and selector.

1. Everybody reads what is public; of a gated model everybody reads the page and the card, and who
   was approved has the files too.
2. A person may do everything with what is theirs; a member of an organisation what the role says.
3. A token does at most what its scope says, and a limited one reaches only its limits. The account
   that authentication returns carries the token (`carry`), so nobody has to hand it on.
4. Nobody does anything with what is deleted.
5. What moderators hid or took down gives its files to nobody; who is suspended, a person or an
   organisation, changes nothing, and reads as before (`registry.moderated`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.expressions import Combinable

from registry import moderated
from registry.choices import (
    AccessState,
    Action,
    MemberState,
    OwnerKind,
    Role,
    Standing,
    TokenScope,
    Visibility,
)
from registry.errors import GatedError, NotAllowedError, UnknownModelError
from registry.models import AccessRequest, ApiToken, Membership, Model, Owner, TokenLimit

Caller = AbstractBaseUser | AnonymousUser | None

_READER = frozenset({Action.READ, Action.FILES})
_WRITER = _READER | {Action.WRITE}
_PUBLISHER = _WRITER | {Action.RELEASE, Action.ALIAS}
_ADMIN = frozenset(Action)
ROLES: dict[str, frozenset[Action]] = {
    Role.READER: _READER,
    Role.WRITER: _WRITER,
    Role.PUBLISHER: _PUBLISHER,
    Role.ADMIN: _ADMIN,
}
SCOPES: dict[str, frozenset[Action]] = {
    TokenScope.READ: _READER,
    TokenScope.WRITE: _WRITER,
    TokenScope.PUBLISH: _PUBLISHER,
    TokenScope.ADMIN: _ADMIN,
}
SHOWN = (Visibility.PUBLIC, Visibility.GATED)
_SUSPENDED = Q(user__owner__standing=Standing.SUSPENDED)
# What a membership is worth: whoever is suspended reads.
_ROLE = Case(When(_SUSPENDED, then=Value(Role.READER.value)), default=F("role"))
_CARRIED = "assay_token"
_REMEMBERED = "assay_standing"

# ------------------------------------------------------------------ the token of a request


def carry(user: AbstractBaseUser, token: ApiToken) -> None:
    """Let `user`, as this request knows them, do no more than `token` may."""
    setattr(user, _CARRIED, token)


def token_of(user: Caller) -> ApiToken | None:
    """Return the token that `user` came with; None for a session or for nobody."""
    found = getattr(user, _CARRIED, None)
    return found if isinstance(found, ApiToken) else None


def _in_limits(token: ApiToken, owner: Owner, model: Model | None) -> bool:
    if not token.limited:
        return True
    reached = Q(owner_id=owner.pk)
    if model is not None:
        reached |= Q(model_id=model.pk)
    return TokenLimit.objects.filter(reached, token=token).exists()


def _token_allows(user: Caller, action: Action, owner: Owner, model: Model | None) -> bool:
    token = token_of(user)
    if token is None:
        return True
    return action in SCOPES[token.scope] and _in_limits(token, owner, model)


# ------------------------------------------------------------------ what a request remembers


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The roles by owner, and the approvals by model, that a request was told already."""

    roles: Mapping[int, Role | None] = field(default_factory=dict)
    approved: Mapping[int, bool] = field(default_factory=dict)


def _known(user: AbstractBaseUser) -> _Known:
    found = getattr(user, _REMEMBERED, None)
    return found if isinstance(found, _Known) else _Known()


def standing(user: Caller) -> dict[str, Combinable]:
    """Return what a query of models asks beside for `remember`: the caller's role and approval."""
    if not isinstance(user, AbstractBaseUser):
        return {}
    mine = Membership.objects.filter(
        user_id=user.pk, owner=OuterRef("owner"), state=MemberState.MEMBER
    )
    approved = AccessRequest.objects.filter(
        user_id=user.pk, model=OuterRef("pk"), state=AccessState.APPROVED
    )
    role = mine.annotate(counts=_ROLE).values("counts")[:1]
    return {"role": Subquery(role), "approved": Exists(approved)}


def remember(user: Caller, model: Model) -> None:
    """Keep for `user`, as this request knows them, what `standing` said beside `model`.

    Only for requests that change nothing: what writes asks anew.
    """
    if isinstance(user, AbstractBaseUser):
        role: str | None = model.role  # type: ignore[attr-defined]  # an annotation
        approved: bool = model.approved  # type: ignore[attr-defined]  # an annotation
        roles = {model.owner_id: None if role is None else Role(role)}
        setattr(user, _REMEMBERED, _Known(roles=roles, approved={model.pk: approved}))


# ------------------------------------------------------------------ the table


def role_in(user: Caller, owner: Owner) -> Role | None:
    """Return what `user` is to `owner`, whatever their token may; None for a stranger."""
    if not isinstance(user, AbstractBaseUser) or owner.deleted_at is not None:
        return None
    if owner.kind == OwnerKind.USER:
        return Role.ADMIN if owner.user_id == user.pk else None
    known = _known(user)
    if owner.pk in known.roles:
        return known.roles[owner.pk]
    found = Membership.objects.filter(user_id=user.pk, owner=owner, state=MemberState.MEMBER)
    role = found.annotate(counts=_ROLE).values_list("counts", flat=True).first()
    return None if role is None else Role(role)


def can(user: Caller, action: Action, obj: Owner | Model) -> bool:
    """Tell whether `user` may do `action` to an owner or to a model.

    To write to an owner is to make a model there, or to move one there.
    """
    model = obj if isinstance(obj, Model) else None
    if model is not None and _is_stopped(action, model):
        return False
    if _for_everybody(action, obj):
        return True
    owner = obj.owner if isinstance(obj, Model) else obj
    if not isinstance(user, AbstractBaseUser):
        return False
    if owner.standing == Standing.SUSPENDED and action not in _READER:
        return False
    if not _token_allows(user, action, owner, model):
        return False
    role = role_in(user, owner)
    if role is not None and action in ROLES[role]:
        return True
    return model is not None and action == Action.FILES and _approved(user, model)


def _is_stopped(action: Action, model: Model) -> bool:
    if model.deleted_at is not None:
        return True
    return action == Action.FILES and model.standing != Standing.GOOD


def _for_everybody(action: Action, obj: Owner | Model) -> bool:
    if action == Action.READ:
        return isinstance(obj, Owner) or obj.visibility in SHOWN
    return action == Action.FILES and isinstance(obj, Model) and obj.visibility == Visibility.PUBLIC


def _approved(user: AbstractBaseUser, model: Model) -> bool:
    if model.visibility != Visibility.GATED:
        return False
    known = _known(user)
    if model.pk in known.approved:
        return known.approved[model.pk]
    found = AccessRequest.objects.filter(user_id=user.pk, model=model, state=AccessState.APPROVED)
    return found.exists()


def need(user: Caller, action: Action, obj: Owner | Model) -> None:
    """Return when `user` may do `action` to `obj`.

    Raises:
        UnknownModelError: they may not even know of the model.
        GatedError: the files of a gated model, before the request is approved.
        TakenDownError, HiddenError: the files of what moderators stopped.
        SuspendedError: the caller, or the owner whom they speak for, is suspended.
        NotAllowedError: whatever else is missing; the words say what.
    """
    if can(user, action, obj):
        return
    if isinstance(obj, Model):
        if not can(user, Action.READ, obj):
            raise unknown_model(obj.full_name)
        if action == Action.FILES:
            moderated.need_good(obj)
            raise GatedError(
                f"The files of {obj.full_name} are for those whose request was approved: "
                "ask on the model's page.",
                model=obj.full_name,
            )
    owner = obj.owner if isinstance(obj, Model) else obj
    if role_in(user, owner) is not None:
        moderated.need_good(owner)
        moderated.need_active(user)
    raise NotAllowedError(_refusal(user, action, owner), owner=owner.name, action=str(action))


def _refusal(user: Caller, action: Action, owner: Owner) -> str:
    token, role = token_of(user), role_in(user, owner)
    if token is not None and role is not None and action in ROLES[role]:
        if action not in SCOPES[token.scope]:
            return f"This token may only {token.scope}. {_scope_for(action)}"
        return "This token is limited to other owners or models."
    if owner.kind == OwnerKind.USER:
        return f"Only {owner.name} may do this."
    least = next(role for role in Role if action in ROLES[role])
    return f"This needs the role '{least}' in {owner.name}."


def _scope_for(action: Action) -> str:
    least = next(scope for scope in TokenScope if action in SCOPES[scope])
    return f"Make one with the scope '{least}'."


def unknown_model(name: str) -> UnknownModelError:
    """Return the refusal for a model that is not there, or that the caller may not know of."""
    return UnknownModelError(f"There is no model '{name[:200]}'.", model=name[:200])


# ------------------------------------------------------------------ short forms


def may_write(user: Caller, obj: Owner | Model) -> bool:
    """Tell whether `user` may add to an owner's models, or to a model."""
    return can(user, Action.WRITE, obj)


def sees_drafts(user: Caller, obj: Owner | Model) -> bool:
    """Tell whether `user` may know of what is not public yet: who writes does, by any token."""
    model = obj if isinstance(obj, Model) else None
    owner = obj.owner if isinstance(obj, Model) else obj
    role = role_in(user, owner)
    if role is None or Action.WRITE not in ROLES[role]:
        return False
    gone = model is not None and model.deleted_at is not None
    return not gone and _token_allows(user, Action.READ, owner, model)


def may_read(user: Caller, model: Model) -> bool:
    """Tell whether `user` may know of `model`; of a deleted one nobody may."""
    return can(user, Action.READ, model)


def may_fetch(user: Caller, model: Model) -> bool:
    """Tell whether `user` may have the files of `model`, and run it."""
    return can(user, Action.FILES, model)


def need_write(user: Caller, obj: Owner | Model) -> None:
    """Raise as `need` does unless `user` may add to `obj`."""
    need(user, Action.WRITE, obj)


def need_files(user: Caller, model: Model) -> None:
    """Raise as `need` does unless `user` may have the files of `model`."""
    need(user, Action.FILES, model)


def reaches(user: Caller, model: Model) -> bool:
    """Tell whether the limits of `user`'s token leave them `model`; without a token, all do."""
    token = token_of(user)
    return token is None or _in_limits(token, model.owner, model)


# ------------------------------------------------------------------ as conditions of queries


def owned(user: Caller, action: Action, prefix: str = "") -> Q:
    """Return the condition for models with which `user`'s role and token allow `action`.

    `prefix` leads to the model. What everybody may do is not in it.
    """
    if not isinstance(user, AbstractBaseUser):
        return Q(pk__in=())
    token = token_of(user)
    if token is not None and action not in SCOPES[token.scope]:
        return Q(pk__in=())
    roles = [role for role in Role if action in ROLES[role]]
    memberships = Membership.objects.filter(
        user_id=user.pk, state=MemberState.MEMBER, role__in=roles
    )
    active = Q()
    if action not in _READER:
        memberships = memberships.exclude(_SUSPENDED)
        active = ~Q(**{f"{prefix}owner__standing": Standing.SUSPENDED})
    found = Q(**{f"{prefix}owner__user_id": user.pk}) | Q(
        **{f"{prefix}owner_id__in": memberships.values("owner_id")}
    )
    return found & active & _limits(token, prefix)


def _limits(token: ApiToken | None, prefix: str) -> Q:
    if token is None or not token.limited:
        return Q()
    rows: QuerySet[TokenLimit] = TokenLimit.objects.filter(token=token)
    models = rows.filter(model__isnull=False).values("model_id")
    owners = rows.filter(owner__isnull=False).values("owner_id")
    return Q(**{f"{prefix}id__in": models}) | Q(**{f"{prefix}owner_id__in": owners})


def readable(user: Caller, prefix: str = "") -> Q:
    """Return the condition for models in the lists of `user`; `prefix` leads to the model.

    Those that moderators hid or took down are in their owners' lists alone.
    """
    there = Q(**{f"{prefix}deleted_at": None})
    shown = Q(**{f"{prefix}visibility__in": SHOWN, f"{prefix}standing": Standing.GOOD})
    if not isinstance(user, AbstractBaseUser):
        return there & shown
    return there & (shown | owned(user, Action.READ, prefix))


def reached(user: Caller, prefix: str = "") -> Q:
    """Return the condition for models that `user`'s token is not kept from by its limits."""
    return _limits(token_of(user), prefix)


def fetchable(user: Caller, prefix: str = "") -> Q:
    """Return the condition for models whose files `user` may have; `prefix` leads to the model."""
    there = Q(**{f"{prefix}deleted_at": None})
    public = Q(**{f"{prefix}visibility": Visibility.PUBLIC})
    if not isinstance(user, AbstractBaseUser):
        return there & public
    approved = AccessRequest.objects.filter(user_id=user.pk, state=AccessState.APPROVED)
    gated = Q(
        **{
            f"{prefix}visibility": Visibility.GATED,
            f"{prefix}id__in": approved.values("model_id"),
        }
    )
    return there & (
        public | (gated & _limits(token_of(user), prefix)) | owned(user, Action.FILES, prefix)
    )
