"""Letters that wait to be sent: the row is the truth, the mail server may be away."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Letter(models.Model):
    """An e-mail to one person, written with the change that it tells of."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    subject = models.CharField(max_length=200)
    body = models.TextField()
    attempts = models.IntegerField(default=0)
    next_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = (
            models.Index(
                fields=("next_at",), condition=models.Q(sent_at=None), name="letter_waiting"
            ),
        )

    def __str__(self) -> str:
        return self.subject
