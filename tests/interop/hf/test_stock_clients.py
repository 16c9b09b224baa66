"""Stock `huggingface_hub` and `hf` against the served site; only endpoint and token are set.

Modes: P is the newest client as it is (Xet), L the same with `HF_HUB_DISABLE_XET=1` (LFS basic and
multipart), O the two older ones.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.hf.conftest import DRIVES, NEWEST, VERSIONS, Client, need
from tests.interop.hf.cutter import Cutter
from tests.interop.hf.server import Server

pytestmark = [pytest.mark.stock, pytest.mark.xdist_group("hub")]
MODES = [(NEWEST, True), (NEWEST, False), *((version, True) for version in VERSIONS[1:])]
NAMES = ["P", "L", *(f"O-{version}" for version in VERSIONS[1:])]
MB = 2**20
every_mode = pytest.mark.parametrize(("version", "xet"), MODES, ids=NAMES)
both_ways = pytest.mark.parametrize("xet", [True, False], ids=["P", "L"])
Make = Callable[..., Client]


@pytest.fixture
def make(server: Server, tmp_path: Path) -> Make:
    """Return a maker of clients, each with a home of its own."""
    made: list[Client] = []

    def fresh(version: str = NEWEST, user: str = "alice", *, xet: bool = True) -> Client:
        need(version)
        home = tmp_path / f"home{len(made)}"
        home.mkdir()
        token = server.token(user) if user else ""
        client = Client(version=version, home=home, server=server, token=token, xet=xet)
        made.append(client)
        return client

    return fresh


def mode(version: str, xet: bool) -> str:
    return f"{version}-{'xet' if xet else 'lfs'}"


def requests(server: Server) -> list[str]:
    return (server.data / "requests.log").read_text().splitlines()


@every_mode
def test_a_publishers_habits_work(make: Make, version: str, xet: bool) -> None:
    client = make(version, xet=xet)
    assert "passed" in client.drive("basics", "alice", f"basics-{mode(version, xet)}")


@every_mode
def test_files_of_many_kinds_come_back_equal(
    make: Make, version: str, xet: bool, server: Server
) -> None:
    """90 MB once for each way; the older clients take the second way with less."""
    client = make(version, xet=xet)
    size = 90 if version == NEWEST else 9
    seed = str(100 + MODES.index((version, xet)))  # what one account has sent is not sent again
    before = len(requests(server))
    repo = f"alice/sizes-{mode(version, xet)}"
    assert "passed" in client.drive("sizes", repo, str(size * MB), seed)
    went = requests(server)[before:]
    parts = sum(line.startswith("PUT /hf/lfs/part 200") for line in went)
    pieces = sum(re.match(r"POST /hf/xet/.*/xorbs/.* 200", line) is not None for line in went)
    if xet and version == NEWEST:
        assert (parts, pieces >= 2) == (0, True)
    else:
        assert (parts >= size, pieces) == (True, 0)


@pytest.mark.skipif("HF_GIGABYTE" not in os.environ, reason="set HF_GIGABYTE to upload 1 GB")
def test_a_gigabyte_comes_by_xet(make: Make, server: Server) -> None:
    client = make()
    client.drive("put", "alice/gigabyte", "first.bin", str(MB), "76")
    before = server.peak_mb()
    put = ("alice/gigabyte", "w.bin", str(1000 * MB), "77")
    client.drive("put", *put, timeout_s=1800)
    assert server.peak_mb() - before < 64, "memory stays flat"
    assert "equal" in client.drive("get", *put, timeout_s=1800)


@both_ways
def test_a_folder_of_300_files_with_odd_names(make: Make, xet: bool) -> None:
    client = make(xet=xet)
    assert "passed" in client.drive("folder", f"alice/folder-{mode(NEWEST, xet)}")


def test_what_the_newest_client_offers(make: Make) -> None:
    assert "passed" in make().drive("newest", "alice", "newest")


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_missing_raises_the_clients_own_errors(
    make: Make, version: str, server: Server
) -> None:
    alice = make()
    alice.drive("put", f"alice/errors-{version}", "a.txt", "5", "1")
    server.python(
        "from registry.models import Owner\n"
        "from registry.services import repos\n"
        f"user = Owner.objects.get(name='alice').user\n"
        f"repos.create(user, name='secret-{version}', visibility='private')"
    )
    mallory = make(version, "mallory")
    told = mallory.drive("errors", f"alice/errors-{version}", f"alice/secret-{version}")
    assert "passed" in told


@pytest.mark.parametrize("version", VERSIONS)
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


@pytest.mark.parametrize("version", VERSIONS)
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


def test_the_same_content_again_costs_a_shard(make: Make, server: Server) -> None:
    client = make()
    client.drive("put", "alice/again", "w.bin", str(3 * MB), "11")

    def sent(by: Client, path: str) -> tuple[int, int]:
        before = len(requests(server))
        by.drive("put", "alice/again", path, str(3 * MB), "11")
        went = requests(server)[before:]
        return (
            sum("/xorbs/" in line for line in went),
            sum("/shards" in line for line in went),
        )

    assert sent(client, "copy.bin")[0] == 0, "this client remembers what is here"
    other = make()
    assert sent(other, "third.bin")[0] >= 1, "another home sends all"
    server.python(
        "from registry.models import XetSpace\n"
        "XetSpace.objects.filter(model__name='again').update(epoch=9)"
    )
    assert sent(client, "fourth.bin")[0] >= 1, "another epoch, too"


def test_the_same_object_again_needs_no_put(make: Make, server: Server) -> None:
    client = make(xet=False)
    client.drive("put", "alice/again-lfs", "w.bin", str(3 * MB), "12")
    before = len(requests(server))
    make(xet=False).drive("put", "alice/again-lfs", "copy.bin", str(3 * MB), "12")
    assert not [line for line in requests(server)[before:] if line.startswith("PUT")]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_cut_download_goes_on_where_it_was(make: Make, version: str, server: Server) -> None:
    make().drive("put", f"alice/cut-{version}", "w.bin", str(40 * MB), "13")
    # The older clients go on after a silence (10 s), and give up when the connection ends.
    cutter = Cutter(port=server.port, limit=25 * MB, silent=version != NEWEST)
    cutter.start()
    client = make(version)
    client.endpoint = cutter.url
    before = len(requests(server))
    assert "equal" in client.drive("get", f"alice/cut-{version}", "w.bin", str(40 * MB), "13")
    cutter.stop()
    assert cutter.cuts == 1
    resumed = [line for line in requests(server)[before:] if "206 bytes=" in line]
    assert resumed, "the second request asks for the rest"


def test_a_revision_waits_for_its_inspection(make: Make, server: Server) -> None:
    alice, bob = make(), make(user="bob")
    onnx = (Path(__file__).parents[2] / "data" / "double.onnx").read_bytes()
    (alice.home / "model").mkdir()
    (alice.home / "model" / "model.onnx").write_bytes(onnx)
    alice.cli("upload", "alice/waiting", "model")
    revision = server.python(
        "from registry.models import Model\nprint(Model.objects.get(name='waiting').head_id)"
    )
    get = ("download", "alice/waiting", "model.onnx", "--revision", revision, "--local-dir", "d")
    assert "waits for its inspection" in alice.cli(*get)
    assert "Revision" in bob.cli(*get, code=1)
    server.python(
        "from registry.services.revisions import record_inspection\n"
        f"record_inspection('{revision}', {{'verdict': 'passed', 'findings': [], 'facts': {{}}, "
        "'trial': None})"
    )
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
    while not any(pattern.search(line) for line in requests(server)[since:]):
        assert time.monotonic() < deadline, f"no {words} came"
        time.sleep(0.01)


@both_ways
def test_a_killed_client_goes_on_the_second_time(make: Make, xet: bool, server: Server) -> None:
    client = make(xet=xet)
    repo = f"alice/killed-{mode(NEWEST, xet)}"
    put = (repo, "w.bin", str(90 * MB), "21" if xet else "22")
    before = len(requests(server))
    first = begun(client, *put)
    wait_for(server, "/xorbs/" if xet else "PUT /hf/lfs/part", before)
    first.kill()
    first.communicate()
    assert "committed" in client.drive("put", *put)
    assert "equal" in make().drive("get", *put)


@both_ways
def test_a_killed_server_leaves_nothing_half(make: Make, xet: bool, server: Server) -> None:
    client = make(xet=xet)
    repo = f"alice/crashed-{mode(NEWEST, xet)}"
    put = (repo, "w.bin", str(90 * MB), "23" if xet else "24")
    before = len(requests(server))
    first = begun(client, *put)
    wait_for(server, "/xorbs/" if xet else "PUT /hf/lfs/part", before)
    server.stop(signal.SIGKILL)
    server.start()
    told, _ = first.communicate(timeout=300)
    if first.returncode != 0:
        told = client.drive("put", *put)
    assert "committed" in told
    assert "equal" in make().drive("get", *put)
    count = server.python(
        "from registry.models import Revision\n"
        f"print(Revision.objects.filter(model__name='{repo.partition('/')[2]}').count())"
    )
    assert count == "2", "the empty one and this one"


def test_no_token_of_any_kind_is_in_the_servers_log(make: Make, server: Server) -> None:
    client = make()
    client.drive("put", "alice/quiet", "w.bin", str(MB), "31")
    log = server.log.read_text(errors="replace")
    assert client.token not in log
    assert "Bearer" not in log
    assert "pass=" not in log
