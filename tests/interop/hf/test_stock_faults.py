"""Stock clients when something goes wrong or is there already: cuts, kills, repetitions."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.interop.hf.conftest import (
    DRIVES,
    MB,
    NEWEST,
    Client,
    Make,
    both_ways,
    every_version,
    mode,
    stock,
)
from tests.interop.hf.cutter import Cutter
from tests.interop.hf.server import Server
from tests.interop.hf.watch import HOLD

pytestmark = stock


def test_the_same_content_again_costs_a_shard(make: Make, server: Server) -> None:
    client = make()
    client.drive("put", "alice/again", "w.bin", str(3 * MB), "11")

    def sent(by: Client, path: str) -> tuple[int, int]:
        before = len(server.requests)
        by.drive("put", "alice/again", path, str(3 * MB), "11")
        went = server.requests[before:]
        return (
            sum("/xorbs/" in line for line in went),
            sum("/shards" in line for line in went),
        )

    assert sent(client, "copy.bin")[0] == 0, "this client remembers what is here"
    other = make()
    assert sent(other, "third.bin")[0] >= 1, "another home sends all"
    server.call("epoch", "again")
    assert sent(client, "fourth.bin")[0] >= 1, "another epoch, too"


def test_the_same_object_again_needs_no_put(make: Make, server: Server) -> None:
    client = make(xet=False)
    client.drive("put", "alice/again-lfs", "w.bin", str(3 * MB), "12")
    before = len(server.requests)
    make(xet=False).drive("put", "alice/again-lfs", "copy.bin", str(3 * MB), "12")
    assert not [line for line in server.requests[before:] if line.startswith("PUT")]


@every_version
def test_a_second_download_asks_for_heads_only(make: Make, version: str, server: Server) -> None:
    client = make(version)
    get = (f"alice/heads-{version}", "w.bin", "5000", "14")
    client.drive("put", *get)
    client.drive("get", *get)
    before = len(server.requests)
    client.drive("get", *get)
    asked = [line.split()[0] for line in server.requests[before:] if "/resolve/" in line]
    assert asked == ["HEAD"]


@every_version
def test_a_cut_download_goes_on_where_it_was(make: Make, version: str, server: Server) -> None:
    size = str(24 * MB)
    make().drive("put", f"alice/cut-{version}", "w.bin", size, "13")
    # The older clients go on after a silence (10 s by default), and give up when it ends.
    cutter = Cutter(port=server.port, limit=15 * MB, silent=version != NEWEST)
    cutter.start()
    client = make(version)
    client.endpoint = cutter.url
    client.patience_s = 0 if version == NEWEST else 3
    before = len(server.requests)
    assert "equal" in client.drive("get", f"alice/cut-{version}", "w.bin", size, "13")
    cutter.stop()
    assert cutter.cuts == 1
    resumed = [line for line in server.requests[before:] if "206 bytes=" in line]
    assert resumed, "the second request asks for the rest"


def test_a_revision_waits_for_its_inspection(make: Make, server: Server) -> None:
    alice, bob = make(), make(user="bob")
    onnx = (Path(__file__).parents[2] / "data" / "double.onnx").read_bytes()
    (alice.home / "model").mkdir()
    (alice.home / "model" / "model.onnx").write_bytes(onnx)
    alice.cli("upload", "alice/waiting", "model")
    revision = server.call("head", "waiting")
    get = ("download", "alice/waiting", "model.onnx", "--revision", revision, "--local-dir", "d")
    assert "waits for its inspection" in alice.cli(*get)
    assert "Revision" in bob.cli(*get, code=1)
    server.call("passes", revision)
    bob.cli(*get)
    assert (bob.home / "d" / "model.onnx").read_bytes() == onnx


# ------------------------------------------------------------------ kills


def begun(client: Client, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(client.bin / "python"), str(DRIVES / "put.py"), *arguments],
        env=client.environment,
        cwd=client.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(server: Server, words: str, since: int, patience_s: float = 60) -> None:
    deadline = time.monotonic() + patience_s
    pattern = re.compile(words)
    while not any(pattern.search(line) for line in server.requests[since:]):
        assert time.monotonic() < deadline, f"no {words} came"
        time.sleep(0.01)


@both_ways
def test_a_killed_client_goes_on_the_second_time(make: Make, xet: bool, server: Server) -> None:
    client = make(xet=xet)
    repo = f"alice/killed-{mode(NEWEST, xet)}"
    # By Xet two xorbs, of which one has come; by LFS nine parts.
    put = (repo, "w.bin", str(70 * MB), "21") if xet else (repo, "w.bin", str(9 * MB), "22")
    before = len(server.requests)
    first = begun(client, *put)
    wait_for(server, "/xorbs/" if xet else "PUT /hf/lfs/part", before)
    first.kill()
    first.communicate()
    assert "committed" in client.drive("put", *put)
    assert "equal" in make().drive("get", *put)


@pytest.mark.parametrize(
    ("moment", "xet", "size"),
    [("/xorbs/", True, 9), ("/shards", True, 3), ("/lfs/part", False, 9), ("/commit/", True, 3)],
    ids=["xorb", "shard", "PUT", "commit"],
)
def test_a_killed_server_leaves_nothing_half(
    make: Make, moment: str, xet: bool, size: int, server: Server
) -> None:
    """It dies when its work is done and the answer has not left."""
    client = make(xet=xet)
    name = f"crashed-{moment.strip('/').replace('/', '-')}"
    put = (f"alice/{name}", "w.bin", str(size * MB), str(230 + len(moment)))
    hold, before = server.data / HOLD, len(server.requests)
    hold.write_text(moment)
    try:
        first = begun(client, *put)
        wait_for(server, f"HELD .*{moment}", before)
    finally:
        hold.unlink()
    server.stop(signal.SIGKILL)
    server.start()
    told, _ = first.communicate(timeout=300)
    if first.returncode != 0:
        told = client.drive("put", *put)
    assert "committed" in told
    assert "equal" in make().drive("get", *put)
    assert server.call("revisions", name) == "2", "the empty one and this one"


def test_no_token_of_any_kind_is_in_the_servers_log(make: Make, server: Server) -> None:
    client = make()
    client.drive("put", "alice/quiet", "w.bin", str(MB), "31")
    log = server.log.read_text(errors="replace")
    assert client.token not in log
    assert "Bearer" not in log
    assert "pass=" not in log
