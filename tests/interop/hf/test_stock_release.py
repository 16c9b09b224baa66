"""From a stock client's commit to a release that a stock verifier accepts."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.builders import CARD, ONNX
from tests.interop.hf.conftest import MB, NEWEST, OLDEST, VERSIONS, Client, Make, stock
from tests.interop.hf.server import Server

pytestmark = stock
UNSIGNED = "No publisher has signed these files yet"


def rest(server: Server, client: Client, path: str) -> Any:
    """Ask the REST API with the client's token."""
    bearer = {"Authorization": f"Bearer {client.token}"}
    request = urllib.request.Request(f"{server.url}/api/v1{path}", headers=bearer)
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())


def page(server: Server, path: str) -> str:
    with urllib.request.urlopen(f"{server.url}{path}") as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize("version", [NEWEST, OLDEST])
def test_a_commit_is_unsigned_everywhere_until_its_publisher_signs_it(
    make: Make, version: str, server: Server
) -> None:
    client = make(version)
    name = f"signed-{VERSIONS.index(version)}"
    repo = f"alice/{name}"
    folder = client.home / "model"
    (folder / "data").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(ONNX)
    (folder / "README.md").write_bytes(CARD)
    (folder / "data" / "weights.bin").write_bytes(bytes(range(256)) * 5_000)
    (folder / "notes.txt").write_text("a small text")
    client.cli("upload", repo, "model")
    revision = server.call("head", name)
    server.call("passes", revision)
    server.call("logs")

    # Readable at once by everybody, and unsigned wherever one looks.
    stranger = make(version, "")
    told = stranger.drive("standing", repo).splitlines()
    assert told[-1].split() == [revision, "False", "None"]
    if version == NEWEST:
        assert "is unsigned:" in stranger.cli("download", repo, "notes.txt", "--local-dir", "e")
    shown = rest(server, client, f"/models/{repo}/revisions/{revision}")
    assert shown["release"] is None
    assert UNSIGNED in page(server, f"/models/{repo}/files/?revision={revision}")

    sign(server, client, name, revision)
    told = stranger.drive("standing", repo).splitlines()
    assert told[-1].split() == [revision, "True", "1.0.0"]
    words = stranger.cli("download", repo, "--revision", "1.0.0", "--local-dir", "down")
    assert "is unsigned:" not in words
    assert UNSIGNED not in page(server, f"/models/{repo}/files/?revision={revision}")
    key = client.home / "key.pub"
    verify(stranger, server, repo, key)
    (stranger.home / "down" / "data" / "weights.bin").write_bytes(b"other weights")
    verify(stranger, server, repo, key, code=1)


def assay(server: Server, client: Client, *arguments: str) -> str:
    """Run the product's own command where the client works, with the client's token."""
    done = subprocess.run(
        [sys.executable, "-m", "assay.cli", *arguments],
        cwd=client.home,
        env=server.environment | {"HOME": str(client.home), "ASSAY_TOKEN": client.token},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sign(server: Server, client: Client, name: str, revision: str) -> None:
    """Release a revision from the folder that was uploaded, as the how-to says."""
    site = ("--key", "key.pem", "--url", server.url)
    assay(server, client, "keygen")
    assay(server, client, "key", "register", *site, "--owner", "alice", "--name", f"of {name}")
    told = assay(
        server, client, "sign", "model", *site, "--model", f"alice/{name}", "--revision", revision
    )
    assert f"Released alice/{name} 1.0.0" in told
    server.call("logs")


def verify(client: Client, server: Server, repo: str, key: Path, code: int = 0) -> None:
    """Let the stock verifier judge the folder `down` by the release's own `model.sig`."""
    signature = client.home / "model.sig"
    with urllib.request.urlopen(f"{server.url}/models/{repo}/releases/1.0.0/model.sig") as answer:
        signature.write_bytes(answer.read())
    done = subprocess.run(
        [
            *(sys.executable, "-m", "model_signing", "verify", "key", "down"),
            *("--signature", str(signature), "--public_key", str(key)),
            "--ignore_unsigned_files",
        ],
        cwd=client.home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert code or "succeeded" in done.stdout + done.stderr


def test_the_command_line_keeps_refs_settings_and_repositories(make: Make, server: Server) -> None:
    client = make()
    server.call("club")
    repo, moved = "alice/kept", "club/kept"
    client.drive("put", repo, "w.bin", "5000", "41")
    client.cli("repos", "tag", "create", repo, "v1", "-m", "the first")
    assert "v1" in client.cli("repos", "tag", "list", repo)
    client.cli("repos", "branch", "create", repo, "next", "--revision", "v1")
    client.cli("download", repo, "w.bin", "--revision", "next", "--local-dir", "down")
    client.cli("repos", "tag", "delete", repo, "v1", "--yes")
    client.cli("repos", "branch", "delete", repo, "next")
    assert "Revision" in client.cli("download", repo, "w.bin", "--revision", "v1", code=1)
    client.cli("repos", "settings", repo, "--private")
    stranger = make(user="")
    assert "Repository" in stranger.cli("download", repo, "w.bin", code=1)
    client.cli("repos", "settings", repo, "--public")
    client.cli("repos", "settings", repo, "--gated", "manual")
    assert "requires approval" in stranger.cli("download", repo, "w.bin", code=1)
    client.cli("repos", "settings", repo, "--gated", "false")
    client.cli("repos", "move", repo, moved)
    stranger.cli("download", repo, "w.bin", "--local-dir", "old")
    assert moved in client.cli("repos", "ls", "--namespace", "club", "--no-truncate")
    assert "Discussions are disabled" in client.cli("discussions", "list", moved, code=1)
    told = client.cli("upload", moved, "down/w.bin", "x.bin", "--create-pr", code=1)
    assert "ull requests are not offered" in told
    client.cli("repos", "delete", moved, "--yes")
    assert "given out before" in client.cli("repos", "create", moved, code=1)


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_a_large_folder_comes_by_the_older_clients_own_command(make: Make, version: str) -> None:
    """In the newest one `hf upload` does this."""
    client = make(version)
    repo = f"alice/large-{version}"
    for number in range(40):
        file = client.home / "large" / f"part{number % 4}" / f"{number}.bin"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes([number]) * (MB // 4))
    model = ("--repo-type", "model", "--no-bars")
    client.cli("upload-large-folder", repo, "large", *model, timeout_s=120)
    client.cli("download", repo, "--local-dir", "down")
    for number in range(40):
        file = client.home / "down" / f"part{number % 4}" / f"{number}.bin"
        assert file.read_bytes() == bytes([number]) * (MB // 4)
