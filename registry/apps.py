from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    """The application, as Django knows it."""

    name = "registry"

    def ready(self) -> None:
        """Load the checks, and hear of sign-ins and of new passwords."""
        from allauth.account import signals
        from django.contrib.auth.signals import user_logged_in

        import_module("registry.checks")
        accounts = import_module("registry.accounts")
        user_logged_in.connect(accounts.on_sign_in, dispatch_uid="registry.sessions")
        for signal in (signals.password_set, signals.password_changed, signals.password_reset):
            signal.connect(accounts.on_new_password, dispatch_uid="registry.sessions")
