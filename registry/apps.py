from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    """The application, as Django knows it."""

    name = "registry"

    def ready(self) -> None:
        import_module("registry.checks")
