from __future__ import annotations

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    """The project itself, so that its commands (`up`, `serve`) are found."""

    name = "config"
