"""`manage.py search_rebuild`: make what a search looks into again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from registry.services import search


class Command(BaseCommand):
    """Make the search document of every model again; harmless at any time."""

    help = "Make the search document of every model again. Harmless at any time."

    def handle(self, **_: Any) -> None:
        lost = search.lost()
        done = search.rebuild(self._progress)
        self.stdout.write(f"{done} models, of which {lost} could not be found before")

    def _progress(self, done: int) -> None:
        if done % 10_000 == 0:
            self.stdout.write(f"{done} models")
