"""Making every search document again: after a restore, an upgrade, or work behind triggers' backs.

The database keeps the documents itself (`registry.models.search`), so this changes nothing in a
registry that is whole. Each batch is one transaction, THE COMMIT POINT of its models; a crash
leaves the rest as it was, and a repetition makes them all again. It may run beside everything: a
document is locked while it is made, and made of what is committed then.
"""

from __future__ import annotations

from collections.abc import Callable

from django.db import connection, transaction

from registry.models import Model, SearchDocument

BATCH = 200


def rebuild(on_progress: Callable[[int], None] = lambda done: None) -> int:
    """Make the document of every model again; return how many models there are."""
    done, last = 0, 0
    while True:
        following = Model.objects.filter(pk__gt=last).order_by("pk")
        ids = list(following.values_list("pk", flat=True)[:BATCH])
        if not ids:
            return done
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT registry_search_refresh(id) FROM unnest(%s::bigint[]) AS id", [ids]
            )
        done, last = done + len(ids), ids[-1]
        on_progress(done)


def lost() -> int:
    """Return how many models that are not deleted have no document: 0, unless triggers were off."""
    documents = SearchDocument.objects.values("pk")
    return Model.objects.filter(deleted_at=None).exclude(pk__in=documents).count()
