"""What alice may ask of an audit, with which key and token, for how long."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from assay.audit import Plan, Result
from assay.cli import app, audit_site
from assay.cli.api import Api
from assay.cli.audit_site import Site as AuditSite
from assay.cli.remember import FileMemory
from assay.digests import sha256_hex
from assay.errors import MissingError
from assay.told import Told
from tests.assay.auditing import AUDITOR, GRAPH, Office, Site, office, serving, uuid
from tests.assay.claims import floats
from tests.assay.logbook import fingerprint
from tests.assay.views import LOG, ORIGIN


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    with office(tmp_path, monkeypatch) as made:
        made.execute(1)
        made.execute(2)
        made.publish()
        yield made


def test_one_of_two_ways_to_choose(desk: Office) -> None:
    result = desk.audit("--all", "--sample", 3)
    assert (result.exit_code, "choose one" in result.stderr) == (2, True)
    events = desk.events()
    assert events[1]["sample"] == 100  # what is drawn when nothing is said


def test_who_has_pinned_nothing_is_told_what_to_do(desk: Office) -> None:
    pins = desk.folder / "config" / "assay" / ORIGIN
    for name in ("keys.json", "policy.txt"):
        (pins / name).unlink()
        result = desk.audit("--all")
        assert (result.exit_code, "assay trust init" in result.stderr) == (2, True)
        assert f"taken to be {ORIGIN}" in result.stderr


def test_the_logs_own_address_does_too(desk: Office) -> None:
    arguments = desk.arguments("--all")
    arguments[1] += "/log/"
    assert CliRunner().invoke(app, arguments).exit_code == 0
    del arguments[2:4]  # without --origin: no log is called 127.0.0.1 here
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_without_node_nothing_is_drawn(desk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_BINARY", str(desk.folder / "absent"))
    result = desk.audit("--all")
    assert (result.exit_code, "is not a program" in result.stderr) == (3, True)
    assert not desk.state.exists()


# ------------------------------------------------------------------ the key, and what it says


def test_a_key_that_no_auditor_registered_signs_nothing(desk: Office) -> None:
    result = desk.audit("--all", "--key", desk.key)
    assert (result.exit_code, "assay key register --role auditor" in result.stderr) == (2, True)
    path = f"/api/v1/keys/{fingerprint(AUDITOR)}"
    answers: list[object] = [{"role": "publisher", "state": "registered"}, []]
    for told in answers:
        desk.site.pages[path] = json.dumps(told).encode()
        result = desk.audit("--all", "--key", desk.key)
        assert (result.exit_code, "the registry has this key as" in result.stderr) == (2, True)
    assert not desk.state.exists()


def test_a_registry_that_takes_no_statement_is_told(desk: Office) -> None:
    desk.register()
    refusal = {"error": {"code": "bad_replay", "message": "Not today.", "detail": {}}}
    desk.site.post = lambda path, body: (400, refusal)
    result = desk.audit("--all", "--key", desk.key)
    assert (result.exit_code, "refuses the statement" in result.stderr) == (3, True)
    assert desk.result(1)["sent"]["taken"] is False
    assert "did not take the statement: Not today." in desk.text()
    assert desk.result(1)["envelope"] is not None  # kept, for others to see


def test_a_statement_without_an_answer_waits(desk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.register()
    monkeypatch.setattr("assay.cli.api.WAITS_S", ())
    desk.site.post = lambda path, body: (503, {})
    result = desk.audit("--all", "--key", desk.key)
    assert (result.exit_code, "the same command goes on" in result.stderr) == (3, True)
    assert [type(line) for line in desk.lines()] == [Plan, Result]
    desk.site.post = lambda path, body: (201, {"entry": None})
    assert desk.outcomes("--key", desk.key) == {1: "exact", 2: "exact"}
    assert desk.result(1)["sent"] == {"taken": True, "reason": "taken"}


def test_the_lie_is_exit_code_one_whatever_else_fails(
    desk: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.execute(3, floats("y", 0.0, 0.0))
    desk.publish()
    desk.register()
    monkeypatch.setattr("assay.cli.api.WAITS_S", ())

    def post(path: str, body: Any) -> tuple[int, Any]:
        return (503, {}) if len(desk.site.posted) > 4 else (201, {"entry": None})

    desk.site.post = post
    first = desk.audit("--all", "--key", desk.key)
    assert first.exit_code == 1


def test_alices_token_goes_to_the_registry(desk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_TOKEN", "secret")
    desk.audit("--all")
    assert "Bearer secret" in desk.site.tokens
    result = desk.audit("--all", "--token-file", desk.folder / "absent")
    assert (result.exit_code, "cannot read" in result.stderr) == (3, True)


# ------------------------------------------------------------------ time


def test_it_follows_until_it_is_told_to_end(desk: Office) -> None:
    looks: list[str] = []

    def look(path: str) -> None:
        if path == "/log/checkpoint":
            looks.append(path)
            if len(looks) == 2:
                desk.execute(3)
                desk.publish(2)
            if len(looks) == 4:
                os.kill(os.getpid(), signal.SIGTERM)

    desk.site.before = look
    result = desk.audit("--all", "--follow", "--interval", 0.1)
    assert result.exit_code in (0, 3)  # told between two rounds, or in one
    assert [len(one["drawn"]) for one in desk.report()["rounds"]] == [2, 1]


def test_told_in_the_middle_it_stops_and_says_so(desk: Office) -> None:
    def look(path: str) -> None:
        if path.endswith("/receipt"):
            desk.site.before = lambda path: None
            os.kill(os.getpid(), signal.SIGTERM)

    desk.site.before = look
    result = desk.audit("--all")
    assert (result.exit_code, "Told to end; the same command goes on" in result.stdout) == (3, True)
    assert desk.outcomes() == {1: "exact", 2: "exact"}


def test_told_while_the_entries_are_read_it_draws_nothing(desk: Office) -> None:
    def look(path: str) -> None:
        if "/envelopes/" in path:
            desk.site.before = lambda path: None
            os.kill(os.getpid(), signal.SIGTERM)

    desk.book.fill(300)
    desk.publish()
    desk.site.before = look
    result = desk.audit("--all")
    assert result.exit_code == 3
    assert desk.report()["rounds"] == []


def test_silence_is_asked_again(desk: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Told, "wait", lambda self, timeout=None: self.is_set())
    path = f"/executions/{uuid(1)}/receipt"
    good, log = desk.site.pages[path], desk.site.pages["/log/checkpoint"]
    desk.site.pages[path] = desk.site.pages["/log/checkpoint"] = (500, {}, b"")

    def look(asked: str) -> None:
        if desk.site.asked.count("/log/checkpoint") == 2:
            desk.site.pages["/log/checkpoint"] = log
        if desk.site.asked.count(path) == 2:
            desk.site.pages[path] = good

    desk.site.before = look
    assert desk.outcomes("--retries", 2) == {1: "exact", 2: "exact"}


@pytest.mark.parametrize("silent", ["/log/checkpoint", f"/executions/{uuid(1)}/receipt"])
def test_told_while_it_waits_for_an_answer_it_ends(desk: Office, silent: str) -> None:
    desk.site.pages[silent] = (500, {}, b"")

    def look(path: str) -> None:
        if path == silent:
            os.kill(os.getpid(), signal.SIGTERM)

    desk.site.before = look
    result = desk.audit("--all", "--retries", 5)
    assert (result.exit_code, desk.site.asked.count(silent)) == (3, 1)


# ------------------------------------------------------------------ the site


def test_blobs_are_kept_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = [bytes([number]) * 10 for number in range(3)]
    pages = {f"/sha256/{sha256_hex(data)}": data for data in blobs}
    monkeypatch.setattr(audit_site, "_HELD_BYTES", 25)
    with serving(Site(pages=dict(pages))) as site, AuditSite(Api(site.url)) as found:
        for data in (*blobs[:2], *blobs[:2]):
            assert found.blob(sha256_hex(data)) == data
        assert len(site.asked) == 2
        for data in (blobs[2], blobs[0]):
            assert found.blob(sha256_hex(data)) == data
        assert len(site.asked) == 4
        with pytest.raises(MissingError):
            found.blob("ab" * 32)


def test_a_blob_that_lies_elsewhere_is_fetched_there() -> None:
    digest = sha256_hex(GRAPH)
    with serving(Site(pages={"/there": GRAPH})) as store:
        moved = (302, {"Location": f"{store.url}/there"}, b"")
        with (
            serving(Site(pages={f"/sha256/{digest}": moved})) as site,
            AuditSite(Api(site.url, "secret")) as found,
        ):
            assert found.blob(digest) == GRAPH
        assert (site.tokens, store.tokens) == ({"Bearer secret"}, {""})


def answered(told: Any, path: str, body: Any) -> tuple[int, Any]:
    return 202, told


def test_a_registry_that_makes_no_trace_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_site, "_LOOKS", 1)
    monkeypatch.setattr(audit_site, "_LOOK_S", 0.0)
    place = f"/api/v1/executions/{uuid(1)}/traces"
    stop = threading.Event()
    with serving(Site(pages={place: b'{"items": []}'})) as site, AuditSite(Api(site.url)) as found:
        for state in ("failed", "running"):
            told = {"id": "9", "state": state}
            site.pages[f"{place}/9"] = json.dumps(told).encode()
            site.post = partial(answered, told)
            assert found.traces(uuid(1), stop) == []
        site.pages[place] = b"[]"
        assert found.traces(uuid(1), stop) == []


def test_a_monitors_memory_is_a_view_that_must_agree(desk: Office) -> None:
    """A monitor beside the audit saw another tree of the same size: that is a fork."""
    other = desk.book.copy()
    other.bodies[1] = other.bodies[0]
    folder = desk.folder / "config" / "assay" / ORIGIN / "monitor"
    folder.mkdir()
    (folder / sha256_hex(ORIGIN.encode())).write_bytes(other.note())
    assert FileMemory(folder, ORIGIN, LOG).load().checked is not None
    result = desk.audit("--all")
    assert (result.exit_code, "ALARM, split view" in result.stderr) == (1, True)


def test_what_diverged_under_the_kept_node_is_run_again_alone(desk: Office) -> None:
    """A process that went wrong accuses nobody: the second Node, of its own, is right."""
    body = (desk.folder / "node").read_text()
    wrong = body.replace("+ .25", "+ .25 + wrong()")
    mark = desk.folder / "started"
    wrong = wrong.replace(
        "import json, struct\n",
        "import json, os, struct\n"
        f"first = not os.path.exists({str(mark)!r})\nopen({str(mark)!r}, 'a').close()\n"
        "def wrong(): return 1 if first else 0\n",
    )
    (desk.folder / "node").write_text(wrong)
    assert desk.outcomes() == {1: "exact", 2: "exact"}
    assert mark.exists()
