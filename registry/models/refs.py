"""Names of revisions as Git-shaped clients know them: branches beside `main`, and tags.

`main` is the model's head and has no row; versions of releases are tags to a client and have none
either.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models

from registry.choices import RefKind
from registry.models.model import Model
from registry.models.revision import Revision


class Ref(models.Model):
    """A branch or a tag. A branch moves with each commit to it; a tag stays until it is deleted."""

    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="refs")
    kind = models.CharField(max_length=8, choices=RefKind)
    name = models.CharField(max_length=250)
    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="+")
    message = models.CharField(max_length=500, blank=True)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("model", "kind", "name"), name="ref_name_unique"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
