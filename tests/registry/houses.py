"""Organisations of the tests: acme, where alice is the admin; and what races and letters need."""

from __future__ import annotations

import threading
from collections.abc import Callable

from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection

from registry.choices import Role
from registry.models import Model, Owner
from registry.services import letters, models, organisations
from tests.people import Person


def make_house(alice: Person, name: str = "acme", /, **members: Person) -> Owner:
    """Make an organisation of `alice`, with a member for each role: `writer=bob`."""
    owner = organisations.create(alice.user, name=name)
    for role, person in members.items():
        join(alice, owner, person, role)
    return owner


def join(alice: Person, owner: Owner, person: Person, role: str = Role.READER) -> None:
    """Invite `person`, who accepts."""
    organisations.invite(alice.user, owner, name=person.name, role=role)
    organisations.accept(person.user, owner)


def house_model(alice: Person, owner: Owner, name: str = "double", **fields: str) -> Model:
    """Make an empty model of the organisation."""
    return models.create(alice.user, name=name, owner=owner.name, **fields)


def sent(about: str) -> list[str]:
    """Send what is due; return to whom letters went whose subject has `about` in it."""
    mail.outbox.clear()
    letters.send_due()
    return sorted(to for letter in mail.outbox if about in letter.subject for to in letter.to)


class Away(BaseEmailBackend):
    """A mail server that does not answer."""

    def send_messages(self, messages: object) -> int:
        raise OSError("no route")


def at_once(*acts: Callable[[], object]) -> list[str]:
    """Run `acts` in threads that start together; return how each ended."""
    ready = threading.Barrier(len(acts))
    ended: list[str] = []

    def run(act: Callable[[], object]) -> None:
        try:
            ready.wait(10)
            act()
            ended.append("done")
        except Exception as error:  # noqa: BLE001 (its class is the answer)
            ended.append(type(error).__name__)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return sorted(ended)
