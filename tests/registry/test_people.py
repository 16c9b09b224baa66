from __future__ import annotations

import pytest

from registry.errors import NameTakenError
from registry.services.owners import create_person
from tests.people import Person


def test_alice_owns_her_name(alice: Person) -> None:
    assert alice.owner.user == alice.user
    with pytest.raises(NameTakenError):
        create_person(alice.user)
