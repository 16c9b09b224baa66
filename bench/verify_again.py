"""What a replay costs beside the execution, a check in a browser, and a proof by EZKL."""

from __future__ import annotations

import contextlib
import json
import shutil
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from assay.api import Receipt, replay
from assay.digests import sha256_hex
from assay.replay import Job, Material, NodeRunner, Runner, files_from_folder, find_node
from assay.replay.kept import KeptNode
from assay.statements import Graph, TensorSet
from assay.tensors import Tensor, decode_tensors, encode_tensors
from bench.children import ROOT, output
from bench.inference_models import input_of
from bench.verify_parts import MAIN, folder, node, timed

RUNTIME = ROOT / "static" / "vendor" / "onnxruntime-web-1.30.0"
VECTORS = ROOT / "tests" / "vectors"
_SECONDS = 2.0
_EZKL_S = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """A model's execution and its replay, in milliseconds.

    `own`: a run in the portable runtime, loaded and warm. `first`: a replay in a Node of its own.
    `kept`: one in a Node that has the model already. A replay decodes, checks digests, compares.
    """

    model: str
    megabytes: float
    own: float
    first: float
    kept: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One figure that stands alone."""

    what: str
    value: str


def again(name: str, graph: bytes, rounds: int) -> Again:
    """Execute a model once, make the receipt's words for it, and run it again."""
    receipt, material, files = _executed(graph)

    def exact(runner: Runner) -> Callable[[], None]:
        def run() -> None:
            verdict = replay(receipt, material, runner).verdict
            if verdict != "exact":
                raise RuntimeError(f"{name}: {verdict}")

        return run

    first = [_wall_ms(exact(NodeRunner(node=find_node(), files=files))) for _ in range(rounds)]
    with KeptNode(node=find_node(), files=files) as kept:
        exact(kept)()
        later = [_wall_ms(exact(kept)) for _ in range(rounds * 3)]
    return Again(
        model=name,
        megabytes=len(graph) / 1e6,
        own=_own_ms(graph),
        first=statistics.median(first),
        kept=statistics.median(later),
    )


def _executed(graph: bytes) -> tuple[Receipt, Material, dict[str, bytes]]:
    """Return what a receipt would say of one run of `graph`, and the bytes to run it again."""
    said = Receipt.parse((VECTORS / "receipt" / "receipt.json").read_bytes())
    runtime = said.predicate.runtime
    files = files_from_folder(runtime, RUNTIME)
    name, shape = input_of(graph)
    count = 1
    for dimension in shape:
        count *= dimension
    ramp = struct.pack(f"<{count}f", *(at % 17 / 16 for at in range(count)))
    given = encode_tensors([Tensor(name=name, datatype="FP32", shape=tuple(shape), data=ramp)])
    job = Job(runtime=runtime, graph=graph, external={}, inputs=decode_tensors(given))
    made = encode_tensors(NodeRunner(node=find_node(), files=files).run(job))
    predicate = replace(
        said.predicate,
        graph=Graph(path="model.onnx", sha256=sha256_hex(graph)),
        input=TensorSet(form="digest", sha256=sha256_hex(given)),
        output=TensorSet(form="digest", sha256=sha256_hex(made)),
    )
    return replace(said, predicate=predicate), Material(graph=graph, input=given), files


def _wall_ms(call: Callable[[], None]) -> float:
    begun = time.perf_counter()
    call()
    return (time.perf_counter() - begun) * 1000


def _own_ms(graph: bytes) -> float:
    name, shape = input_of(graph)
    with folder() as place:
        (place / "model.onnx").write_bytes(graph)
        script = str(Path(__file__).parent / "inference_raw.mjs")
        model = [str(place / "model.onnx"), name, ",".join(map(str, shape)), str(_SECONDS)]
        return float(json.loads(output([node(), script, str(RUNTIME), *model]))["ms"])


def command(rounds: int) -> Fact:
    """Time `assay replay` as a command, on the receipt of the test vectors, without a network."""
    here = VECTORS / "receipt"
    line = [
        *(sys.executable, "-c", MAIN, "replay", str(here / "receipt.json")),
        *("--model", str(VECTORS / "models" / "add.onnx"), "--runtime", str(RUNTIME)),
        *("--input", str(here / "input.tensors"), "--blob", str(here / "output.tensors")),
    ]
    taken = [timed(line, {"ASSAY_TRUST": str(here)})[0] for _ in range(rounds)]
    what = "assay replay of a model with two inputs, process start to verdict"
    return Fact(what=what, value=f"{statistics.median(taken):.0f} ms")


# ------------------------------------------------------------------ a browser


def browser(rounds: int) -> Fact:
    """Open what `assay page` writes in a headless Chromium, and wait for its verdict."""
    what = "a saved page in Chromium, from opening to verdict"
    program = shutil.which("chromium")
    if program is None:
        return Fact(what=what, value="no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    here = VECTORS / "receipt"
    with folder() as place, sync_playwright() as playwright:
        page = place / "receipt.html"
        line = [sys.executable, "-c", MAIN, "page", str(here / "receipt.json"), "--out", str(page)]
        timed([*line, "--blob", str(here / "output.tensors")], {"ASSAY_TRUST": str(here)})
        chromium = playwright.chromium.launch(executable_path=program)
        taken = []
        for _ in range(rounds + 1):
            view = chromium.new_page()
            begun = time.perf_counter()
            view.goto(page.as_uri())
            view.wait_for_selector("#verdict[data-state=passed]")
            taken.append((time.perf_counter() - begun) * 1000)
            view.close()
        chromium.close()
    return Fact(what=what, value=f"{statistics.median(taken[1:]):.0f} ms (median of {rounds})")


# ------------------------------------------------------------------ EZKL


def ezkl(python: Path | None) -> list[Fact]:
    """Prove the run of the vectors' small network with EZKL, by a Python that has it."""
    what = "EZKL, the same small network"
    if python is None:
        return [Fact(what=what, value="not asked for: --ezkl PYTHON")]
    tensors = decode_tensors((VECTORS / "receipt" / "input.tensors").read_bytes())
    values = [struct.unpack(f"<{len(one.data) // 4}f", one.data) for one in tensors]
    with folder() as place:
        given = place / "input.json"
        given.write_text(json.dumps({"input_data": values}), encoding="utf-8")
        script = str(Path(__file__).parent / "verify_ezkl.py")
        model = str(VECTORS / "models" / "add.onnx")
        line = ["timeout", str(_EZKL_S), str(python), script, model, str(given), str(place)]
        try:
            told = json.loads(output(line).splitlines()[-1])
        except (subprocess.CalledProcessError, ValueError, IndexError) as error:
            return [Fact(what=what, value=f"failed: {error}")]
    with contextlib.suppress(KeyError):
        return [
            Fact(what=f"{what}: setup, once a model", value=f"{told['setup']:.1f} s"),
            Fact(what=f"{what}: witness and proof", value=f"{_both(told):.2f} s"),
            Fact(what=f"{what}: check of the proof", value=f"{told['check'] * 1000:.0f} ms"),
            Fact(what=f"{what}: size of the proof", value=f"{told['bytes']:,} bytes"),
        ]
    return [Fact(what=what, value=f"an answer of another form: {told}")]


def _both(told: dict[str, float]) -> float:
    return told["witness"] + told["proof"]
