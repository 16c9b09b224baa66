from __future__ import annotations

from django.apps import AppConfig


class InferenceConfig(AppConfig):
    """The application, as Django knows it."""

    name = "inference"
