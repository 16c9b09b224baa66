"""The people of the tests: alice owns, bob helps, mallory must fail."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from registry.choices import TokenScope
from registry.models import ApiToken, Owner
from registry.services.owners import create_person

PASSWORD = "correct horse battery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """An account with its owner, and ways to call the site as them."""

    user: User
    owner: Owner

    @property
    def name(self) -> str:
        return self.owner.name

    def token(self, scope: str = TokenScope.ADMIN) -> str:
        """Return a fresh API token."""
        _, token = ApiToken.objects.create(self.user, name="test", scope=scope)
        return str(token)

    def api(self, scope: str = TokenScope.ADMIN) -> APIClient:
        """Return a REST client that calls with a token."""
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {self.token(scope)}")
        return client


def make_person(name: str) -> Person:
    """Make an account as sign-up would."""
    user = get_user_model().objects.create_user(name, f"{name}@example.org", PASSWORD)
    return Person(user=user, owner=create_person(user))
