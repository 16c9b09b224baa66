"""Repositories as hub clients make and delete them: a model with an empty first commit.

`create`: model, empty revision and their audit rows in one transaction (the commit point).
`delete`: a tombstone and a reserved name in one transaction. Rows of history stay, nobody may know
of them, and the name is never given out again. What was released stays: it is evidence.
"""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from registry.choices import Action, Visibility
from registry.errors import ConflictError
from registry.models import Model
from registry.rights import need
from registry.services import models, owners, revisions

FIRST_MESSAGE = "initial commit"


def create(
    user: AbstractBaseUser,
    *,
    name: str,
    owner: str | None = None,
    visibility: str = Visibility.PUBLIC,
) -> Model:
    """Make a model whose `main` is a revision without files; raises as `models.create`."""
    with transaction.atomic():
        model = models.create(user, name=name, owner=owner, visibility=visibility)
        revisions.commit(
            user, model, files=[], parent=None, message=FIRST_MESSAGE, may_be_empty=True
        )
    return Model.objects.select_related("owner", "head").get(pk=model.pk)


def delete(user: AbstractBaseUser, model: Model) -> None:
    """Delete `model` for everybody; its name is never given out again.

    Raises:
        NotAllowedError: the model is somebody else's.
        ConflictError: it has releases.
    """
    need(user, Action.DELETE, model)
    with transaction.atomic():
        # A release takes the same lock: whichever comes second waits for the other.
        locked = Model.objects.select_for_update(no_key=True, of=("self",)).get(pk=model.pk)
        if locked.releases.exists():
            raise ConflictError(
                f"{model.full_name} has releases, which stay for ever: withdraw them instead.",
                model=model.full_name,
            )
        need(user, Action.DELETE, locked)
        owners.bury_model(user, locked, "deleted by its owner")
