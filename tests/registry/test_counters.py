"""Downloads: counted once for an address, a release and a day, and nobody can say who it was."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from registry import counted
from registry.models import DaySalt, DownloadMark, Model, ModelTotal, ReleaseDay
from registry.services import counters
from registry.services.counters import Added, add, add_up_downloads, downloaded
from registry.tasks import add_up_downloads as task
from tests import builders
from tests.people import Person
from tests.registry.searching import publish

HERE, THERE = "192.0.2.7", "2001:db8::7"


@pytest.fixture
def model(alice: Person) -> Model:
    return publish(alice, "double")


def total(model: Model) -> int:
    return counted.of_model(Model.objects.get(pk=model.pk)).downloads


def on(monkeypatch: pytest.MonkeyPatch, day: date) -> None:
    """Let it be that day."""
    moment = timezone.now().replace(year=day.year, month=day.month, day=day.day)
    monkeypatch.setattr(timezone, "now", lambda: moment)


def test_an_address_counts_once_a_day_and_release(
    model: Model, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = model.releases.get()
    for address in (HERE, HERE, THERE):
        downloaded(first.revision_id, address)
    files = {"model.onnx": builders.ONNX, "README.md": builders.CARD + b"more"}
    second = builders.publish_release(
        alice, builders.make_revision(alice, model, files), version="2.0.0"
    )
    downloaded(second.revision_id, HERE)
    assert (add_up_downloads(), add_up_downloads()) == (3, 0)
    downloaded(first.revision_id, HERE)
    assert add_up_downloads() == 0
    today = timezone.now().date()
    on(monkeypatch, today + timedelta(days=1))
    downloaded(first.revision_id, HERE)
    assert task() == 1
    assert total(model) == 4
    assert counted.of_release(first).downloads == 3
    assert [(one.day - today).days for one in counted.days_of(first)] == [1, 0]
    assert ModelTotal.objects.get().downloads == 4


def test_only_the_last_days_are_recent(model: Model) -> None:
    release = model.releases.get()
    today = timezone.now().date()
    for age, n in ((0, 1), (29, 2), (30, 4)):
        add([Added(release=release.pk, day=today - timedelta(days=age), downloads=n)])
    found = counted.of_release(release)
    assert (found.downloads, found.recent_downloads, found.executions) == (7, 3, 0)


def test_what_is_no_release_is_not_counted(alice: Person) -> None:
    draft = builders.make_revision(alice)
    downloaded(draft.pk, HERE)
    downloaded("0" * 40, HERE)
    assert add_up_downloads() == 0


def test_who_fetched_cannot_be_found_out_after_the_day(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = model.releases.get().revision_id
    downloaded(revision, HERE)
    kept = [str(vars(row)) for row in (*DownloadMark.objects.all(), *DaySalt.objects.all())]
    assert not any(HERE in text for text in kept)
    today = timezone.now().date()
    on(monkeypatch, today + timedelta(days=1))
    downloaded(revision, HERE)
    add_up_downloads()
    keys = set(DownloadMark.objects.values_list("key", flat=True))
    assert len(keys) == 2  # the same address, and nothing shows it
    on(monkeypatch, today + timedelta(days=3))
    add_up_downloads()
    assert not DownloadMark.objects.exists()
    assert not DaySalt.objects.exists()
    assert total(model) == 2


def test_a_mark_is_not_forgotten_before_it_was_counted(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloaded(model.releases.get().revision_id, HERE)
    on(monkeypatch, timezone.now().date() + timedelta(days=40))
    assert add_up_downloads() == 1
    found = counted.of_release(model.releases.get())
    assert (found.downloads, found.recent_downloads, total(model)) == (1, 0, 1)


def test_a_crash_between_counts_nothing_twice(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloaded(model.releases.get().revision_id, HERE)
    honest = counters.add

    def crash(added: Any) -> None:
        honest(added)
        raise OSError("the machine is gone")

    monkeypatch.setattr(counters, "add", crash)
    with pytest.raises(OSError, match="gone"):
        add_up_downloads()
    assert total(model) == 0
    monkeypatch.undo()
    assert add_up_downloads() == 1


def get(path: str, **headers: str) -> Any:
    """Fetch all of it, as a client does."""
    answer = Client().get(path, headers=headers)
    if answer.streaming:
        assert b"".join(answer)  # which closes it
    return answer


def test_a_file_counts_but_neither_its_head_nor_its_pieces_nor_the_card(model: Model) -> None:
    base = f"/models/alice/double/files/{model.releases.get().revision_id}"
    etag = Client().head(f"{base}/model.onnx").headers["ETag"]
    assert get(f"{base}/README.md").status_code == 200
    assert get(f"{base}/model.onnx", **{"if-none-match": etag}).status_code == 304
    assert get(f"{base}/nothing").status_code == 404
    assert add_up_downloads() == 0
    for wanted in ("bytes=0-9", "bytes=10-19", "bytes=20-"):
        assert get(f"{base}/model.onnx", range=wanted).status_code == 206
    assert get(f"{base}/model.onnx").status_code == 200
    assert (add_up_downloads(), add_up_downloads()) == (1, 0)


def test_counters_stand_on_the_pages_of_model_and_release(model: Model) -> None:
    release = model.releases.get()
    day = timezone.now().date()
    add([Added(release=release.pk, day=day, executions=1500, unique_runs=12, downloads=3)])
    add([Added(release=release.pk, day=day - timedelta(days=90), executions=500)])
    pages = {
        path: Client().get(f"/models/alice/double/{path}").content.decode()
        for path in ("", "releases/1.0.0/")
    }
    assert all("Unique runs are those with an input" in text for text in pages.values())
    assert "<dd>2,000</dd>" in pages[""]
    assert "<dd>2,000, 1,500 in 30 days</dd>" in pages["releases/1.0.0/"]
    assert "<dd>12, 12 in 30 days</dd>" in pages["releases/1.0.0/"]


def test_nothing_to_add_asks_nothing(db: None, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        add([])
    assert not ReleaseDay.objects.exists()
