from __future__ import annotations

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    """The application, as Django knows it."""

    name = "registry"
