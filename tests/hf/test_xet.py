"""The Xet upload bridge: pieces become files, and every lie is refused with nothing stored."""

from __future__ import annotations

import io
import os
import tracemalloc
from datetime import timedelta
from pathlib import Path
from typing import Any

import lz4.frame
import pytest
from django.core import signing
from django.utils import timezone
from pytest_django import Settings

from registry.errors import InvalidInputError
from registry.models import Blob, Holding, Upload, XetSpace, Xorb, XorbRange
from registry.services import contents, xet, xet_format
from registry.services.xet_source import Source
from registry.tasks import sweep_uploads
from tests import builders
from tests.hf.hub import Hub, body, error, lfs, sha
from tests.hf.pieces import GROUPED, LZ4, PLAIN, Bridge, File, chunk, name_of, shard, text_of
from tests.people import Person

pytestmark = pytest.mark.django_db
PARTS = [bytes([n]) * (1000 + n) for n in range(5)]
DATA = b"".join(PARTS)
NAME = name_of(b"first")
RESULT = {"type": "result"}


@pytest.fixture
def bridge(alices: Hub) -> Bridge:
    alices.create()
    return Bridge.of(alices)


def spool(settings: Settings) -> list[str]:
    folder: Path = settings.XET_DIR
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def whole(parts: list[bytes] = PARTS, name: bytes = NAME, **forged: Any) -> File:
    data = b"".join(parts)
    return File(sha256=sha(data), segments=[(name, len(data), 0, len(parts))], **forged)


def sent(bridge: Bridge, scheme: int = PLAIN) -> None:
    assert bridge.xorb(NAME, b"".join(chunk(part, scheme) for part in PARTS)).json() == {
        "was_inserted": True
    }


@pytest.mark.parametrize("scheme", [PLAIN, LZ4, GROUPED])
def test_pieces_become_a_file(
    scheme: int, bridge: Bridge, alices: Hub, nobodys: Hub, settings: Settings
) -> None:
    sent(bridge, scheme)
    assert len(spool(settings)) == 1
    lines = bridge.shard(shard([whole()]))
    assert lines[0] == {"type": "validating", "verified": 0, "total": 1}
    assert lines[-1] == RESULT
    alices.committed(lfs("w.bin", DATA))
    assert body(nobodys.resolve("w.bin")) == DATA


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 131_071, 131_072])
def test_grouped_bytes_come_back_in_order(size: int) -> None:
    data = os.urandom(size)
    packed = chunk(data, GROUPED) + b"XETBLOB\1" + bytes(300)
    at = 0

    def read(count: int) -> bytes:
        nonlocal at
        piece = packed[at : at + min(count, 1000)]
        at += len(piece)
        return piece

    assert b"".join(xet_format.chunks(read)) == data


def test_a_claimed_piece_leaves_the_spool_and_serves_the_next_file(
    bridge: Bridge, alices: Hub, settings: Settings, django_capture_on_commit_callbacks: Any
) -> None:
    sent(bridge)
    first = PARTS[:2]
    with django_capture_on_commit_callbacks(execute=True):
        half = File(sha256=sha(b"".join(first)), segments=[(NAME, 2001, 0, 2)])
        assert bridge.shard(shard([half]))[-1] == RESULT
        assert len(spool(settings)) == 1, "three chunks are nobody's yet"
        rest = File(
            sha256=sha(b"".join(PARTS[1:])), segments=[(NAME, 1001, 1, 2), (NAME, 3009, 2, 5)]
        )
        assert bridge.shard(shard([rest]))[-1] == RESULT
    assert spool(settings) == []
    ranges = XorbRange.objects.order_by("first").values_list("first", "end", "offset")
    assert list(ranges) == [(0, 2, 0), (1, 5, 0)]
    mixed = [PARTS[4], PARTS[0], PARTS[1], PARTS[2]]
    again = File(
        sha256=sha(b"".join(mixed)),
        segments=[(NAME, 1004, 4, 5), (NAME, 3003, 0, 3)],
    )
    assert bridge.shard(shard([again]))[-1] == RESULT
    assert contents.read_small(again.sha256, 9999) == b"".join(mixed)
    sent(bridge)
    assert spool(settings) == [], "what is in files is not kept twice"


def test_the_same_shard_again_stores_nothing_more(bridge: Bridge) -> None:
    sent(bridge)
    for _ in range(2):
        assert bridge.shard(shard([whole()]))[-1] == RESULT
    assert Blob.objects.count() == 1
    old = bridge.call("POST", "/v1/shards", shard([whole()]))
    assert (old.status_code, old.json()) == (200, {"result": 1})


def test_nothing_is_ever_said_to_be_known(bridge: Bridge) -> None:
    sent(bridge)
    name = text_of(NAME)
    for method, path in (
        ("GET", f"/v1/chunks/default/{name}"),
        ("POST", f"/v1/xorb-grants/default/{name}"),
        ("GET", f"/v1/reconstructions/{name}"),
        ("GET", f"/v1/xorbs/default/{name}x/y"),
    ):
        assert error(bridge.call(method, path)) == (404, "")


# ------------------------------------------------------------------ lies


def _lied(bridge: Bridge, body: bytes) -> str:
    """Send a shard that must be refused; return the words."""
    last = bridge.shard(body)[-1]
    assert (last["type"], last["retryable"]) == ("error", False)
    return str(last["message"])


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([whole(name=name_of(b"unknown"))], "is not here"),
        ([File(sha256=sha(DATA), segments=[(NAME, 5010, 0, 6)])], "no range 0-6"),
        ([File(sha256=sha(DATA), segments=[(NAME, 0, 2, 2)])], "no range 2-2"),
        ([File(sha256=sha(DATA), segments=[(NAME, 5010, 2**32 - 1, 2**32 - 1)])], "no range"),
        ([File(sha256=sha(DATA), segments=[(NAME, 5011, 0, 5)])], "claims 5011 bytes"),
        ([File(sha256=sha(b"another"), segments=[(NAME, 5010, 0, 5)])], "not those"),
        ([whole(count=2**32 - 1)], "more segments than the shard holds"),
        ([whole(metadata=False)], "without its SHA-256"),
        ([File(sha256=sha(b"x"), segments=[])], "not those"),
    ],
)
def test_a_lie_in_a_shard_is_refused_and_nothing_is_stored(
    files: list[File], words: str, bridge: Bridge
) -> None:
    sent(bridge)
    assert words in _lied(bridge, shard(files))
    assert not Blob.objects.exists()
    assert not Holding.objects.exists()
    old = bridge.call("POST", "/v1/shards", shard(files))
    assert old.status_code == 400


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x" * 200,
        shard([], version=1),
        shard([], footer=200),
        shard([whole()])[:100],
        shard([])[:60],
        shard([], magic=b"\0" * 32),
    ],
)
def test_what_is_no_shard_is_refused(data: bytes, bridge: Bridge) -> None:
    sent(bridge)
    if data:
        _lied(bridge, data)
    else:
        assert error(bridge.call("POST", "/v2/shards", data)) == (411, "")
    assert not Blob.objects.exists()


BOMB = lz4.frame.compress(bytes(64 * 2**20))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (chunk(b"x", version=1), "has version 1"),
        (chunk(b"x", raw=131_073), "has 131073 raw"),
        (chunk(b"x", raw=0), "has 0 raw"),
        (chunk(b"x", stored=262_145), "262145 stored"),
        (chunk(b"x", stored=2), "is cut off"),
        (chunk(b"x") + b"\0\0", "is cut off"),
        (chunk(b"xy", raw=1), "has 2 bytes where 1"),
        (chunk(b"x" * 500, LZ4, raw=499), "no LZ4 frame of 499"),
        (chunk(b"x" * 500, LZ4, raw=501), "has 500 bytes where 501"),
        (chunk(b"x", 3), "has scheme 3"),
        (b"\0" + len(BOMB[:200_000]).to_bytes(3, "little") + b"\1\0\0\1" + BOMB[:200_000], "LZ4"),
        (b"\0\x28\0\0\1\x28\0\0" + b"junk" * 10, "is no LZ4 frame."),
        (chunk(b"x") * 8_193, "is one too many"),
        (chunk(bytes(131_072), LZ4) * 513, "is one too many"),
        (b"XETBLOB\1", "at least one chunk"),
    ],
)
def test_a_malformed_piece_is_refused_and_not_kept(
    data: bytes, words: str, bridge: Bridge, settings: Settings
) -> None:
    tracemalloc.start()
    answer = bridge.xorb(NAME, data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert error(answer) == (400, "")
    assert words in answer.json()["error"]
    assert peak < 8 * 2**20, "what it claims to be is never allocated"
    assert not Xorb.objects.exists()
    assert spool(settings) == []


def test_a_token_is_for_one_model_and_one_hour(
    bridge: Bridge, alices: Hub, mallorys: Hub, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    mallorys.create()
    foreign = Bridge.of(mallorys, "mallory/double")
    bridge_of_alice = bridge.cas
    forged = signing.dumps({"space": bridge.cas.split("/")[-2], "user": alice.user.pk}, salt="x")
    path = f"/v1/xorbs/default/{text_of(NAME)}"
    for token in (foreign.token, forged, bridge.token + "x", alices.token, "x"):
        answer = bridge.call("POST", path, chunk(b"x"), token=token)
        assert error(answer) == (403, "")
    assert error(Hub(client=alices.client).call("POST", bridge_of_alice + path, b"x")) == (401, "")
    with monkeypatch.context() as patch:
        patch.setattr(xet, "LIFETIME_S", -1)
        assert error(bridge.call("POST", path, chunk(b"x"))) == (403, "")
    assert error(mallorys.get("/api/models/alice/double/xet-write-token/main")) == (403, "")
    alices.call("DELETE", "/api/repos/delete", {"name": "double", "organization": "alice"})
    assert error(bridge.call("POST", path, chunk(b"x"))) == (403, "")
    assert not Xorb.objects.exists()


def test_mallorys_pieces_are_no_part_of_alices_files(bridge: Bridge, mallorys: Hub) -> None:
    sent(bridge)
    mallorys.create()
    foreign = Bridge.of(mallorys, "mallory/double")
    assert "is not here" in str(foreign.shard(shard([whole()]))[-1]["message"])
    foreign.xorb(NAME, chunk(b"evil"))
    assert bridge.shard(shard([whole()]))[-1] == RESULT, "hers under the same name changes nothing"


def test_the_first_body_under_a_name_stays(
    bridge: Bridge, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent(bridge)
    kept = spool(settings)
    assert bridge.xorb(NAME, chunk(b"another")).json() == {"was_inserted": True}
    with monkeypatch.context() as patch:  # the same piece twice at once: both find none
        patch.setattr(xet, "knows", lambda *_: False)
        assert bridge.xorb(NAME, chunk(b"another")).status_code == 200
    assert spool(settings) == kept
    assert bridge.shard(shard([whole()]))[-1] == RESULT


def test_a_bad_name_or_size_is_refused(bridge: Bridge, settings: Settings) -> None:
    assert error(bridge.call("POST", "/v1/xorbs/default/XYZ", chunk(b"x"))) == (400, "")
    settings.XET_MAX_XORB_BYTES = settings.XET_MAX_SHARD_BYTES = 5
    assert error(bridge.xorb(NAME, chunk(b"x")))[0] == 413
    assert error(bridge.call("POST", "/v2/shards", shard([])))[0] == 413
    assert not XetSpace.objects.filter(pk="00000000-0000-0000-0000-000000000000").exists()


def test_pieces_and_files_are_within_the_quota(bridge: Bridge, settings: Settings) -> None:
    settings.QUOTA_BYTES = 6000
    sent(bridge)
    more = bridge.xorb(name_of(b"second"), chunk(bytes(1000)))
    assert error(more)[0] == 413
    settings.QUOTA_BYTES = 5000
    assert "quota" in _lied(bridge, shard([whole()]))
    settings.QUOTA_BYTES, settings.UPLOAD_MAX_BYTES = 10**6, 5000
    assert "that large" in _lied(bridge, shard([whole()]))
    assert not Blob.objects.exists()


# ------------------------------------------------------------------ what is lost, what is swept


def test_a_forgotten_piece_raises_the_epoch(
    bridge: Bridge, alices: Hub, settings: Settings
) -> None:
    sent(bridge)
    for name in spool(settings):
        (settings.XET_DIR / name).unlink()
    assert "lost" in _lied(bridge, shard([whole()]))
    fresh = Bridge.of(alices)
    assert fresh.cas.endswith("/2")
    sent(fresh)
    assert bridge.shard(shard([whole()]))[-1] == RESULT, "an old address still works"


def test_content_that_was_collected_raises_the_epoch(
    bridge: Bridge, alices: Hub, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        sent(bridge)
        assert bridge.shard(shard([whole()]))[-1] == RESULT
    Blob.objects.all().delete()
    half = File(sha256=sha(PARTS[0]), segments=[(NAME, 1000, 0, 1)])
    assert "not here any more" in _lied(bridge, shard([half]))
    assert Bridge.of(alices).cas.endswith("/2")


def test_pieces_that_nobody_claims_go_after_two_days(
    bridge: Bridge, alices: Hub, settings: Settings
) -> None:
    sent(bridge)
    sweep_uploads()
    assert len(spool(settings)) == 1
    Xorb.objects.update(created_at=timezone.now() - timedelta(hours=49))
    stray, young = settings.XET_DIR / "ab.cd", settings.XET_DIR / "ab.young"
    for path in (stray, young):
        path.write_bytes(b"half")
    builders.set_mtime(stray, (timezone.now() - timedelta(days=2)).timestamp())
    sweep_uploads()
    assert spool(settings) == ["ab.young"]
    assert not Xorb.objects.exists()
    assert Bridge.of(alices).cas.endswith("/2")
    assert not Upload.objects.exists()


def test_a_piece_that_moves_while_it_is_read_is_looked_for_again(
    bridge: Bridge, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent(bridge)
    (name,) = spool(settings)
    kept = (settings.XET_DIR / name).read_bytes()
    (settings.XET_DIR / name).unlink()
    first = Source
    calls: list[int] = []

    def source(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            (settings.XET_DIR / name).write_bytes(kept)
        return first(*arguments)

    monkeypatch.setattr(xet, "Source", source)
    assert bridge.shard(shard([whole()]))[-1] == RESULT


def test_a_long_file_is_waited_for_in_lines(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent(bridge)
    monkeypatch.setattr(xet, "BEAT_S", 0.0)
    lines = bridge.shard(shard([whole()]))
    assert lines[-1] == RESULT
    assert lines[1]["verified"] == 0


def test_a_fault_of_ours_may_be_tried_again(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent(bridge)

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(contents, "record", fail)
    last = bridge.shard(shard([whole()]))[-1]
    assert (last["type"], last["retryable"]) == ("error", True)
    assert "space" not in last["message"]
    assert bridge.call("POST", "/v1/shards", shard([whole()])).status_code == 503


def test_a_scattered_file_keeps_its_pieces(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xet, "_MAX_RANGES", 1)
    sent(bridge)
    mixed = File(sha256=sha(PARTS[4] + PARTS[0]), segments=[(NAME, 1004, 4, 5), (NAME, 1000, 0, 1)])
    assert bridge.shard(shard([mixed]))[-1] == RESULT
    assert not XorbRange.objects.exists()


def test_a_file_of_too_many_pieces_is_refused(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xet, "_MAX_XORBS", 1)
    sent(bridge)
    bridge.xorb(name_of(b"second"), chunk(b"x"))
    two = File(sha256=sha(DATA), segments=[(NAME, 5010, 0, 5), (name_of(b"second"), 1, 0, 1)])
    assert "at most 1 xorbs" in _lied(bridge, shard([two]))


def test_a_segment_list_that_ends_early_is_told() -> None:
    data = shard([whole()])
    (entry,) = xet_format.entries(io.BytesIO(data), len(data))
    with pytest.raises(InvalidInputError, match="cut off"):
        list(xet_format.segments(io.BytesIO(data[:100]), entry))
