"""What is on the site before a drive begins; the console calls it (`Server.python`)."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser

from ledger import services as ledger
from registry.models import Model, Owner, Revision, XetSpace
from registry.services import commits, contents, gates, organisations, repos
from registry.services.revisions import record_inspection
from tests.builders import REPORT
from tests.ledger.builders import sequence
from tests.people import Person, make_person

CARDS = {
    0: b"license: mit",
    1: b"license: apache-2.0\npipeline_tag: image-classification",
    2: b"license: apache-2.0\nlanguage: fr",
}


def person(name: str) -> Person:
    """Return an account, which is made when it is absent."""
    found = Owner.objects.select_related("user").filter(name=name).first()
    return Person(user=found.user, owner=found) if found and found.user else make_person(name)


def model(user: AbstractBaseUser, name: str, files: dict[str, bytes]) -> Model:
    """Make a model of these files."""
    made = repos.create(user, name=name)
    added = [
        commits.Add(path=path, sha256=contents.store(user, data).sha256)
        for path, data in files.items()
    ]
    if added:
        commits.apply(user, made, "main", added)
    return made


def many() -> None:
    """Give `many` 90 models, three of them with cards."""
    user = person("many").user
    if Model.objects.filter(owner__name="many").exists():
        return
    for number in range(90):
        card = CARDS.get(number)
        text = b"---\ntags: [drives]\n%b\n---\n# M\n" % card if card else b""
        model(user, f"m{number:02}", {"README.md": text} if card else {})


def three(version: str) -> None:
    """Make models of alice's: one that is shown, one secret, one gated."""
    user = person("alice").user
    for kind, visibility in (("shown", "public"), ("secret", "private"), ("gated", "gated")):
        made = model(user, f"{kind}-{version}", {"a.txt": b"words"})
        gates.set_visibility(user, made, visibility=visibility)


def club() -> None:
    """Make the organisation `club` of alice's."""
    if not Owner.objects.filter(name="club").exists():
        organisations.create(person("alice").user, name="club", title="The club")


def epoch(name: str) -> None:
    """Let clients forget which pieces of a model are here."""
    XetSpace.objects.filter(model__name=name).update(epoch=9)


def head(name: str) -> str:
    """Return the id of the newest revision of a model."""
    return str(Model.objects.get(name=name).head_id)


def revisions(name: str) -> int:
    """Return how many revisions a model has."""
    return Revision.objects.filter(model__name=name).count()


def passes(revision: str) -> None:
    """Let a revision pass its inspection."""
    record_inspection(revision, REPORT)


def logs() -> None:
    """Open the log where nobody has, and let it take what waits."""
    ledger.ensure_log()
    sequence()
