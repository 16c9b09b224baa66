"""Stock `huggingface_hub` and `hf` against the served site; only endpoint and token are set.

Modes: P is the newest client as it is (Xet), L the same with `HF_HUB_DISABLE_XET=1` (LFS basic and
multipart), O the two older ones.
"""

from __future__ import annotations

import re
import sys
import time

import pytest

from tests.interop.hf.conftest import (
    MB,
    MODES,
    NEWEST,
    OLDEST,
    VERSIONS,
    Make,
    both_ways,
    every_mode,
    every_version,
    mode,
    stock,
)
from tests.interop.hf.server import Server
from tests.interop.hf.watch import CALLS

pytestmark = stock


@every_mode
def test_a_publishers_habits_work(make: Make, version: str, xet: bool) -> None:
    client = make(version, xet=xet)
    assert "passed" in client.drive("basics", "alice", f"basics-{mode(version, xet)}")


@every_mode
def test_files_of_many_kinds_come_back_equal(
    make: Make, version: str, xet: bool, server: Server
) -> None:
    """By Xet as much as makes two xorbs; by LFS, in parts of 1 MB, less."""
    client = make(version, xet=xet)
    size = 90 if version == NEWEST and xet else 9
    seed = str(100 + MODES.index((version, xet)))  # what one account has sent is not sent again
    before = len(server.requests)
    repo = f"alice/sizes-{mode(version, xet)}"
    assert "passed" in client.drive("sizes", repo, str(size * MB), seed)
    went = server.requests[before:]
    parts = sum(line.startswith("PUT /hf/lfs/part 200") for line in went)
    pieces = sum(re.match(r"POST /hf/xet/.*/xorbs/.* 200", line) is not None for line in went)
    if xet and version == NEWEST:
        assert (parts, pieces >= 2) == (0, True)
    else:
        assert (parts >= size, pieces) == (True, 0)


def test_a_gigabyte_comes_by_xet(make: Make, server: Server, pytestconfig: pytest.Config) -> None:
    if not pytestconfig.getoption("--gigabyte", default=False):
        pytest.skip("pytest tests/interop/hf --gigabyte uploads 1 GB as well")
    client = make()
    client.drive("put", "alice/gigabyte", "first.bin", str(MB), "76")
    before, put = server.peak_mb(), ("alice/gigabyte", "w.bin", str(1000 * MB), "77")
    begin = time.monotonic()
    client.drive("put", *put, timeout_s=1800)
    up, grown = time.monotonic() - begin, server.peak_mb() - before
    begin = time.monotonic()
    assert "equal" in client.drive("get", *put, timeout_s=1800)
    down = time.monotonic() - begin
    sys.stdout.write(f"\n1 GB: up {up:.0f} s, down {down:.0f} s, {before} MB and {grown} more\n")
    assert grown < 64, "memory stays flat"


@both_ways
def test_a_folder_of_300_files_with_odd_names(make: Make, xet: bool) -> None:
    client = make(xet=xet)
    assert "passed" in client.drive("folder", f"alice/folder-{mode(NEWEST, xet)}")


def test_what_the_newest_client_offers(make: Make) -> None:
    assert "passed" in make().drive("newest", "alice", "newest")


@every_version
def test_lists_come_in_pages_without_a_gap(make: Make, version: str, server: Server) -> None:
    client = make(version)
    server.call("many")
    before = len(server.requests)
    assert "passed" in client.drive("lists", "many")
    pages = [line for line in server.requests[before:] if line.startswith("GET /hf/api/models 200")]
    assert len(pages) >= 5 * 3 + 9, "90 models are three pages in each of five orders"


@every_version
def test_what_is_missing_raises_the_clients_own_errors(
    make: Make, version: str, server: Server
) -> None:
    server.call("three", version)
    mallory = make(version, "mallory")
    names = (f"alice/{kind}-{version}" for kind in ("shown", "secret", "gated"))
    assert "passed" in mallory.drive("errors", *names)


@pytest.mark.parametrize("version", [NEWEST, OLDEST])
def test_too_many_calls_are_told_how_long_to_wait(make: Make, version: str, server: Server) -> None:
    hasty = make(version, f"hasty{VERSIONS.index(version)}")
    server.call("club")
    make(version).drive("put", f"club/hasty-{version}", "a.txt", "5", "1")
    calls = server.data / CALLS
    calls.write_text("1")
    try:
        told = hasty.drive("hasty", f"club/hasty-{version}")
    finally:
        calls.unlink()
    assert "429" in told
    if version == NEWEST:
        assert re.search(r"[Rr]etry after \d+ seconds", told), "the newest one says how long"


@every_version
def test_an_owner_hides_gates_and_moves_a_model(make: Make, version: str, server: Server) -> None:
    client = make(version)
    server.call("club")
    assert "passed" in client.drive("settings", "alice", f"settings-{version}", "club")


@every_version
def test_the_command_line_knows_whose_token_it_has(
    make: Make, version: str, server: Server
) -> None:
    client = make(version, "")
    token = server.token("alice")
    client.cli("auth", "login", "--token", token)
    told = client.cli("auth", "whoami")
    assert "alice" in told
    other = make(version, "")
    wrong = other.cli("auth", "login", "--token", "hf_wrong", code=1)
    assert "401" in wrong or "nvalid" in wrong


@every_version
def test_the_command_line_uploads_and_downloads(make: Make, version: str, server: Server) -> None:
    client = make(version)
    repo = f"alice/cli-{version}"
    (client.home / "model").mkdir()
    (client.home / "model" / "w.bin").write_bytes(bytes(range(256)) * 9)
    (client.home / "model" / "README.md").write_text("---\nlicense: mit\n---\n# Hi\n")
    client.cli("upload", repo, "model")
    client.cli("download", repo, "--local-dir", "down")
    assert (client.home / "down" / "w.bin").read_bytes() == bytes(range(256)) * 9
    if version == NEWEST:
        assert repo in client.cli("models", "ls", "--search", f"cli-{version}", "--no-truncate")
        assert "w.bin" in client.cli("models", "ls", repo)
        assert repo in client.cli("models", "info", repo)
        assert "# Hi" in client.cli("models", "card", repo)


def test_the_cache_is_verified_and_an_added_byte_is_seen(make: Make) -> None:
    client = make()
    repo = "alice/verified"
    client.drive("put", repo, "w.bin", "5000", "7")
    client.drive("get", repo, "w.bin", "5000", "7")
    client.cli("download", repo, "--local-dir", "down")
    for where in ((), ("--local-dir", "down")):
        client.cli("cache", "verify", repo, *where)
    with (client.home / "down" / "w.bin").open("ab") as file:
        file.write(b"x")
    told = client.cli("cache", "verify", repo, "--local-dir", "down", code=1)
    assert "w.bin" in told
