"""One site for every row: acme's models, what alice has beside them, and the people who ask.

acme is alice's organisation; bob writes there, rita reads. `open` is public, `secret` private,
`gated` gated (dora waits to be approved). Each has release 1.0.0, the alias `production`, a newer
revision that failed its inspection, and one after it that passed and is not released.

Moderators hid acme's `parting`. Beside them: `dora` offers her model `gift` to acme and is offered
acme's `parting`; her organisation invites alice. Executions, traces, webhooks, schedules, uploads,
tokens: alice's.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from django.test import Client
from django.utils import timezone

from assay.digests import sha256_hex
from assay.dsse import public_key_of, sign
from assay.tensors import Tensor, encode_tensors
from inference.choices import ExecutionState
from inference.ids import uuid7
from inference.models import Delivery, Tensors
from inference.services import traces
from ledger import services as ledger
from registry.choices import Act, Gate, Role, Target, TokenScope, Visibility
from registry.models import Model, Owner, Release, Revision
from registry.services import (
    aliases,
    appeals,
    gates,
    keys,
    models,
    organisations,
    refs,
    releases,
    tokens,
    transfers,
    trusted,
)
from tests import builders
from tests.ledger.builders import sequence
from tests.people import Person, make_person
from tests.registry import executing
from tests.registry.houses import make_house
from tests.registry.moderating import Things, make_moderator

API = "/api/v1"
MODELS = ("open", "secret", "gated")
INPUTS = [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]
FAILED = {
    "verdict": "failed",
    "findings": [{"code": "sparse", "place": "w", "remedy": "make it dense", "level": "failed"}],
    "facts": None,
    "trial": None,
}
BACKEND = "django.contrib.auth.backends.ModelBackend"


@dataclass(kw_only=True)
class Scene:
    """The people, the places that rows name in braces, and what bodies are made of."""

    people: dict[str, Person]
    acme: Owner
    releases: dict[str, Release] = field(default_factory=dict)
    drafts: dict[str, Revision] = field(default_factory=dict)
    failed: dict[str, Revision] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)

    def at(self, template: str) -> str:
        """Return the address of a row."""
        return template.format(**self.places)


def make_scene() -> Scene:
    """Make the whole site; it takes about a second."""
    ledger.ensure_log()
    people = {
        name: make_person(name) for name in ("alice", "bob", "rita", "mallory", "dora", "staff")
    }
    people["staff"].user.is_staff = True
    people["staff"].user.save()
    alice = people["alice"]
    acme = make_house(alice, reader=people["rita"], writer=people["bob"])
    scene = Scene(people=people, acme=acme)
    private = builders.private_key("acme")
    keys.register(alice.user, builders.key_envelope(private, "acme"), name="build machine")
    builders.make_key(alice)
    for name in MODELS:
        _model(scene, name)
    _between_people(scene)
    _runs(scene)
    _belongings(scene)
    _log_in(scene)
    sequence()
    return scene


def _model(scene: Scene, name: str) -> None:
    alice = scene.people["alice"]
    model = models.create(alice.user, name=name, owner="acme", visibility=Visibility.PRIVATE)
    files = {"model.onnx": builders.ONNX, "README.md": builders.CARD, "words.txt": name.encode()}
    revision = builders.make_revision(alice, model, files)
    scene.releases[name] = release = _release(alice, revision)
    envelope = builders.alias_envelope(release, builders.private_key("acme"))
    fingerprint = release.key_id
    aliases.move(alice.user, model, "production", envelope, fingerprint)
    publisher = trusted.add(
        alice.user, model, repository="acme/build", workflow="release.yml", environment=""
    )
    broken = {**files, "model.onnx": builders.ONNX + b"?"}
    failed = builders.make_revision(alice, model, broken, report=FAILED)
    scene.failed[name] = failed
    scene.drafts[name] = builders.make_revision(alice, model, {**files, "c.txt": b"good"})
    refs.create_tag(alice.user, model, "v0", revision.pk)
    refs.create_branch(alice.user, model, "old", revision.pk)
    model.refresh_from_db()
    if name != "secret":
        shown = Visibility.PUBLIC if name == "open" else Visibility.GATED
        gates.set_visibility(alice.user, model, visibility=shown, gate=Gate.MANUAL)
    scene.places |= {
        name: f"acme/{name}",
        f"{name}_release": revision.pk,
        f"{name}_draft": scene.drafts[name].pk,
        f"{name}_failed": failed.pk,
        f"{name}_publisher": str(publisher.pk),
        f"{name}_blob": revision.files.get(path="words.txt").blob_id,
    }


def _release(alice: Person, revision: Revision, version: str = "1.0.0") -> Release:
    private = builders.private_key("acme")
    request = releases.Request(
        revision=revision.pk,
        version=version,
        notes="",
        envelopes=builders.make_claims(revision, private, version),
        key=public_key_of(private.public_key()).fingerprint,
    )
    return releases.publish(alice.user, revision.model, request)


def _between_people(scene: Scene) -> None:
    alice, dora = scene.people["alice"], scene.people["dora"]
    gates.ask(dora.user, Model.objects.get(pk=scene.releases["gated"].model_id), reason="To learn.")
    gift = builders.make_model(dora, "gift")
    offered = transfers.offer(dora.user, gift, to="acme")
    parting = models.create(alice.user, name="parting", owner="acme")
    names = {Target.MODEL: "acme/parting"}
    Things(names=names).do(make_moderator("warden"), Act.HIDE, Target.MODEL)
    asked = transfers.offer(alice.user, parting, to="dora")
    house = make_house(dora, "zoo")
    organisations.invite(dora.user, house, name="alice", role=Role.WRITER)
    models.create(alice.user, name="elsewhere")
    lone = make_house(alice, "empty")
    appeals.ask(alice.user, scene.failed["gated"], "It is a good graph.")
    scene.places |= {"offered": str(offered.pk), "asked": str(asked.pk), "empty": lone.name}


def _runs(scene: Scene) -> None:
    """Make executions: alice's own of `open` and of `secret`, a private one, some that wait."""
    alice = scene.people["alice"].user
    salts = {"input": "11" * 32, "output": "22" * 32}
    made = {
        "run": _run(scene, "open"),
        "private": _run(scene, "open", private=True, salts=salts),
        "secret_run": _run(scene, "secret"),
    }
    for name in ("run", "private", "secret_run"):
        trace, _ = traces.ask_for(made[name], alice)
        scene.places[f"{name}_trace"] = str(trace.pk)
    scene.places |= {name: str(pk) for name, pk in made.items()}
    asked = {"model": "acme/open", "inputs": INPUTS}
    scene.places["queued"] = _made(scene, "executions", asked)["id"]
    secret = {**asked, "model": "acme/secret"}
    scene.places["secret_queued"] = _made(scene, "executions", secret)["id"]
    batch = {"model": "acme/secret", "items": [{"inputs": INPUTS}]}
    scene.places["batch"] = _made(scene, "executions", batch)["batch"]


def _run(scene: Scene, model: str, **fields: Any) -> UUID:
    revision = scene.releases[model].revision
    pk, key = uuid7(), executing.executor_key()
    entry = executing._log(sign(executing.statement(revision, pk), key), key)
    data = encode_tensors([Tensor(name="y", datatype="FP32", shape=(1, 2), data=bytes(8))])
    output, _ = Tensors.objects.get_or_create(
        sha256=sha256_hex(data), defaults={"size": len(data), "inline": data}
    )
    ended = {"state": ExecutionState.SUCCEEDED, "output": output, "entry_id": entry}
    executing._row(revision, pk, None, caller=scene.people["alice"].user, **ended, **fields)
    return pk


def _made(scene: Scene, where: str, body: dict[str, Any]) -> Any:
    """Return what alice gets who posts `body`."""
    answer = scene.people["alice"].api().post(f"{API}/{where}", body, format="json")
    assert answer.status_code in (201, 202), answer.json()
    return answer.json()


def _belongings(scene: Scene) -> None:
    alice = scene.people["alice"]
    hook = _made(scene, "webhooks", {"url": "https://hooks.example.org/alice"})["id"]
    schedule = {"model": "acme/open", "inputs": INPUTS, "interval_s": 3600}
    upload = {"size": 8, "sha256": sha256_hex(b"contents"), "part_size": 8}
    scene.places |= {
        "webhook": hook,
        "acme_webhook": _made(
            scene, "webhooks", {"url": "https://hooks.example.org/acme", "owner": "acme"}
        )["id"],
        "delivery": _made(scene, f"webhooks/{hook}/test", {})["id"],
        "schedule": _made(scene, "schedules", schedule)["id"],
        "upload": _made(scene, "uploads", upload)["id"],
        "key": scene.releases["open"].key_id,
        "entry": str(scene.releases["open"].claims.all()[0].entry_id),
        "own_key": builders.known_key(alice.owner.keys.get(), alice).fingerprint,
    }
    # The next one by hand is not too soon after it.
    Delivery.objects.update(created_at=timezone.now() - timedelta(hours=1))
    keys.backup(
        alice.user,
        scene.places["own_key"],
        wrapped=b"w" * 154,
        salt=b"s" * 16,
        iterations=600_000,
        iv=b"i" * 12,
    )


def _log_in(scene: Scene) -> None:
    """Give everybody a session and a token that may do everything, and alice two narrow ones."""
    for name, person in scene.people.items():
        client = Client()
        client.force_login(person.user, backend=BACKEND)
        session = client.session  # who signed in just now need not do so again for what is grave
        session[AUTHENTICATION_METHODS_SESSION_KEY] = [{"method": "password", "at": time.time()}]
        session.save()
        scene.cookies[name] = client.cookies["sessionid"].value
        scene.tokens[name] = person.token()
    alice = scene.people["alice"]
    scene.tokens["low"] = alice.token(TokenScope.READ)
    row, scene.tokens["narrow"] = tokens.create(
        alice.user, name="narrow", scope=TokenScope.ADMIN, days=1, models=["alice/elsewhere"]
    )
    scene.places["token"] = row.digest
