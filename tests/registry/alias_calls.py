"""Moves of aliases as people send them: alice/double has 1.0.0 and 2.0.0."""

from __future__ import annotations

from typing import Any

from rest_framework.test import APIClient

from assay.dsse import Envelope, public_key_of
from registry.models import Release
from tests import builders
from tests.builders import CARD, ONNX, alias_envelope, private_key
from tests.people import Person
from tests.registry.calls import API

ALIASES = f"{API}/models/alice/double/aliases"


def another(person: Person, before: Release, version: str) -> Release:
    """Release other files of the same model as `version`."""
    files = {"model.onnx": ONNX, "README.md": CARD + version.encode()}
    revision = builders.make_revision(person, before.model, files)
    return builders.publish_release(person, revision, version=version)


def send(
    client: APIClient,
    envelope: Envelope,
    name: str = "production",
    signer: str = "alice",
    **more: Any,
) -> Any:
    key = public_key_of(private_key(signer).public_key()).fingerprint
    body = {"envelope": envelope.to_dict(), "key": key, **more}
    return client.post(f"{ALIASES}/{name}/moves", body, format="json")


def point(person: Person, release: Release, previous: str | None = None, **more: Any) -> Any:
    """Move `production` of alice's model as `person`, signed with their own key."""
    envelope = alias_envelope(release, private_key(person.name), previous=previous, **more)
    return send(person.api(), envelope, signer=person.name)
