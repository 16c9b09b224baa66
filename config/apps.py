from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    """The project itself, so that its commands (`up`, `serve`) are found."""

    name = "config"

    def ready(self) -> None:
        """Load the Celery application, so that whoever publishes a task knows the broker."""
        import_module("config.celery")
