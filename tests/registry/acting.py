"""Acts that are one transaction each: how they are done, gone on with, and what is true after them.

They are moderators' and those at the end of an account; `tests.registry.test_acts_fail` lets each
of their places fail.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User

from assay.dsse import verify_envelope
from inference.choices import ExecutionState
from inference.models import Execution, Hook, Schedule
from inference.services.submit import submit
from ledger import services as ledger
from ledger.models import Entry
from ledger.services.receipts import envelope_of
from registry import keyfile, moderated, selectors
from registry.choices import (
    Act,
    Category,
    KeyRole,
    KeyState,
    ObjectionState,
    ReportState,
    Standing,
    Target,
    TransferState,
)
from registry.errors import ConflictError, RegistryError, UnknownRequestError
from registry.models import (
    ApiToken,
    AuditEvent,
    Closing,
    Key,
    KeyBackup,
    Letter,
    Membership,
    Model,
    ModerationAction,
    Objection,
    Report,
    Session,
    Transfer,
)
from registry.services import (
    closing,
    keys,
    moderation,
    moderation_targets as targets,
    objections,
    own_key,
    transfers,
)
from registry.services.moderation import Wanted
from tests import builders
from tests.inference.builders import fp32, plan, publish
from tests.inference.executor.models import add
from tests.ledger import fault_table
from tests.ledger.builders import sequence, whole
from tests.ledger.failpoints import Failpoints
from tests.people import Person, make_person
from tests.registry.houses import make_house
from tests.registry.moderating import REASON, make_moderator
from tests.registry.test_closing import COPY, INPUTS, browser, due

TRIED = "tried"  # writes that are undone in any case


class Deed(ABC):
    """An act of somebody. Making one brings about what it needs.

    `steps` are names of functions, with the step of the documents that happens there; `stages` what
    may be there after a failure, each with what brings it about; `again` is what whoever does it
    once more is told, and words of it.
    """

    steps: ClassVar[Mapping[str, str]]
    again: ClassVar[tuple[type[RegistryError], str]] = (ConflictError, "already")

    @abstractmethod
    def do(self) -> object:
        """Do it."""

    @abstractmethod
    def check(self) -> None:
        """Check what must be true at the end."""

    def go_on(self, *, done: bool) -> None:
        """Go on after a failure as the documents say: send the form again.

        `done` tells that it was found done: then it is not done twice.
        """
        if done:
            error, words = self.again
            with pytest.raises(error, match=words):
                self.do()
        else:
            self.do()

    def stages(self) -> dict[str, Callable[[], object]]:
        return {fault_table.DONE: self.do}

    @contextmanager
    def armed(self, points: Failpoints) -> Iterator[None]:
        """Let the places of the act be met."""
        with points.armed():
            yield


# ---------------------------------------------------------------- moderators


class TakeDown(Deed):
    """The first action on a site: carol takes down alice's model, which a reader reported."""

    steps: ClassVar[Mapping[str, str]] = {"ensure_service_key": "1", "act": "2"}
    kind, act, letters = Target.MODEL, Act.TAKEDOWN, 1

    def __init__(self) -> None:
        ledger.ensure_log()
        self.alice, self.carol = make_person("alice"), make_moderator()
        self.release = builders.publish_release(self.alice)
        self.name = self._name()
        Letter.objects.all().delete()
        Report.objects.create(
            kind=self.kind,
            target=targets.find(self.kind, self.name).target,
            name=self.name,
            category=Category.COPYRIGHT,
            text="This is mine.",
        )

    def _name(self) -> str:
        return self.release.model.full_name

    def do(self) -> object:
        return moderation.act(self.carol, self._wanted())

    def _wanted(self) -> Wanted:
        return Wanted(
            act=self.act,
            kind=self.kind,
            name=self.name,
            category=Category.COPYRIGHT,
            reason=REASON,
            typed=self.name,
        )

    def stages(self) -> dict[str, Callable[[], object]]:
        first = {fault_table.REGISTERED: own_key.ensure_registry_key}
        return {**first, **super().stages()}

    @contextmanager
    def armed(self, points: Failpoints) -> Iterator[None]:
        with points.armed(), key_file(points):
            yield

    def check(self) -> None:
        action = ModerationAction.objects.get()
        assert (action.number, action.act, action.reason) == (1, self.act, REASON)
        check_signed(action)
        self._check_standing()
        report = Report.objects.get()
        assert (report.state, report.action) == (ReportState.ACTED, action)
        assert AuditEvent.objects.filter(action=f"moderation.{self.act}").count() == 1
        assert Letter.objects.filter(user=self.alice.user).count() == self.letters

    def _check_standing(self) -> None:
        assert Model.objects.get().standing == Standing.TAKEN_DOWN


class EndKey(TakeDown):
    """Carol ends alice's key; the registry's own is registered already."""

    kind, act, letters = Target.KEY, Act.SUSPEND, 2  # one of them says what to do now

    def __init__(self) -> None:
        super().__init__()
        own_key.ensure_registry_key()

    def _name(self) -> str:
        return self.release.key_id

    def stages(self) -> dict[str, Callable[[], object]]:
        return {fault_table.DONE: self.do}

    def _check_standing(self) -> None:
        key = Key.objects.get(pk=self.name)
        assert key.state == KeyState.REVOKED
        assert key.revocation_id == ModerationAction.objects.get().entry_id


class Grant(Deed):
    """Dave grants alice's appeal against what carol did: an act of its own."""

    steps: ClassVar[Mapping[str, str]] = {"ensure_service_key": "1", "decide": "2"}

    def __init__(self) -> None:
        before = TakeDown()
        before.do()
        self.dave = make_moderator("dave")
        objections.ask(
            before.alice.user, moderated.find_action(1), "I am the author of this model."
        )
        self.objection = Objection.objects.get()

    def do(self) -> object:
        words = "She is the author, as her letter shows."
        return objections.decide(self.dave, self.objection, "granted", words, seen=1)

    def check(self) -> None:
        newest, _ = ModerationAction.objects.all()
        assert (newest.number, newest.act) == (2, Act.RESTORE)
        check_signed(newest)
        assert Model.objects.get().standing == Standing.GOOD
        row = Objection.objects.get()
        assert (row.state, row.outcome) == (ObjectionState.GRANTED, newest)
        assert AuditEvent.objects.filter(action="moderation.appeal_answered").count() == 1


def check_signed(action: ModerationAction) -> None:
    """Check that the registry's one key signed the action, and that the log has a place for it."""
    key = Key.objects.get(role=KeyRole.REGISTRY)
    assert own_key.ensure_registry_key() == (key.fingerprint, False)
    verify_envelope(envelope_of(action.entry), selectors.public_key(key))
    sequence()
    assert whole() == Entry.objects.count()
    assert ledger.receipt(action.entry_id)


@contextmanager
def key_file(points: Failpoints) -> Iterator[None]:
    """Let each call that makes the file of a key be such a place too."""

    def place(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def passed(*arguments: Any, **named: Any) -> Any:
            failure = OSError(5, "Input/output error")
            return points.through(name, lambda: call(*arguments, **named), failure)

        return passed

    calls = {name: getattr(os, name) for name in ("fdopen", "O_WRONLY", "O_CREAT", "O_EXCL")}
    places = {"open": place("open temporary", os.open), "fsync": place("fsync temporary", os.fsync)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keyfile, "os", SimpleNamespace(**calls, **places))
        for module in (keyfile, own_key):
            name = "sync_folder"
            patch.setattr(module, name, place("sync_folder keys", getattr(module, name)))
        patch.setattr(Path, "hardlink_to", place("link registry.pem", Path.hardlink_to))
        patch.setattr(Path, "unlink", place("remove temporary", Path.unlink))
        yield


# ---------------------------------------------------------------- the end of an account


class Wish(Deed):
    """Alice asks for her account to be closed: the end is tried, and undone."""

    steps: ClassVar[Mapping[str, str]] = {"_try": TRIED, "ask": "1"}

    def __init__(self) -> None:
        self.alice = make_person("alice")
        builders.make_model(self.alice, "draft")

    def do(self) -> object:
        return closing.ask(self.alice.user)

    def check(self) -> None:
        self.alice.user.refresh_from_db()
        assert self.alice.user.is_active
        assert Model.objects.get().deleted_at is None
        assert closing.wish_of(self.alice.user) is not None
        assert AuditEvent.objects.filter(action="account.close").count() == 1
        assert Letter.objects.filter(user=self.alice.user).count() == 1


class Keep(Wish):
    """She takes the wish back."""

    steps: ClassVar[Mapping[str, str]] = {"cancel": "2"}
    again = (UnknownRequestError, "does not wait")

    def __init__(self) -> None:
        super().__init__()
        closing.ask(self.alice.user)

    def do(self) -> None:
        closing.cancel(self.alice.user)

    def check(self) -> None:
        assert closing.wish_of(self.alice.user) is None
        assert AuditEvent.objects.filter(action="account.keep").count() == 1
        assert closing.sweep() == 0


class End(Deed):
    """The day has come for an account that has something of everything."""

    steps: ClassVar[Mapping[str, str]] = {"_end": "3"}

    def __init__(self) -> None:
        ledger.ensure_log()
        self.alice = alice = make_person("alice")
        bob, mallory = make_person("bob"), make_person("mallory")
        make_house(bob, admin=alice)
        self._publish(alice)
        transfers.offer(alice.user, Model.objects.get(name="double"), to=mallory.name)
        EmailAddress.objects.create(user=alice.user, email=alice.user.email, verified=True)
        Authenticator.objects.create(user=alice.user, type=Authenticator.Type.TOTP, data={})
        browser(alice, again=False)
        api = alice.api()
        hook = {"url": "https://hooks.example.org/a"}
        assert api.post("/api/v1/webhooks", hook, format="json").status_code == 201
        wish = {"model": "alice/add", "interval_s": 3600, "inputs": INPUTS}
        assert api.post("/api/v1/schedules", wish, format="json").status_code == 201
        closing.ask(alice.user, to="acme")
        due()

    def _publish(self, alice: Person) -> None:
        key = builders.make_key(alice)
        keys.backup(alice.user, key.fingerprint, **COPY)
        builders.publish_release(alice, key=key)
        publish(alice, "add", add())
        submit(plan("alice/add", [fp32("x", 3.0)], limit_s=900, user=alice.user))

    def do(self) -> object:
        return closing.sweep()

    def go_on(self, *, done: bool) -> None:
        """The next sweep comes."""
        assert closing.sweep() == (0 if done else 1)

    def check(self) -> None:
        user = User.objects.get(username="alice")
        assert (user.is_active, user.email, user.has_usable_password()) == (False, "", False)
        for rows in (EmailAddress, Authenticator, Session, ApiToken, Membership, Letter, Closing):
            assert not rows.objects.filter(user=user).exists(), rows
        assert not KeyBackup.objects.exists()
        names = {model.full_name for model in Model.objects.filter(deleted_at=None)}
        assert names == {"acme/double", "acme/add"}
        assert not Transfer.objects.filter(state=TransferState.WAITING).exists()
        assert AuditEvent.objects.filter(action="owner.delete").count() == 1
        waiting = Execution.objects.filter(state=ExecutionState.QUEUED, cancel_requested=None)
        assert not waiting.exists()
        assert Schedule.objects.get().stopped_at is not None
        assert Hook.objects.get().url == ""
        assert closing.sweep() == 0
