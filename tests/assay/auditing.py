"""A registry that runs a model of three steps, truly or not, and an auditor who looks at it.

y = relu(x w) + b on FP32 [1, 2]; its log is that of `logbook`, its keys are known to everybody.
"""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner, Result

from assay.audit.found import parse_record
from assay.bundle import Bundle, InclusionProof, LogEntry, hint_for, render_bundle
from assay.canonical import canonical_json
from assay.cli import app
from assay.digests import sha256_hex
from assay.dsse import Envelope, sign
from assay.merkle import prove_inclusion, root_of
from assay.policy import parse_trusted_root
from assay.replay import Material, NodeRunner, find_node
from assay.replay.runtimes import NAMES
from assay.replay.tracing import trace_again
from assay.statements import ExecutionPredicate, Graph, Subject, TensorSet, render
from assay.tensors import Tensor, encode_tensors
from assay.trace import Trace
from tests.assay import claims, onnxfile as onnx
from tests.assay.bench import program
from tests.assay.claims import floats
from tests.assay.logbook import TRUSTED_ROOT, Logbook, pages, person, pinned, public
from tests.assay.stand import Answer
from tests.assay.views import ORIGIN, Leaves

EXECUTOR, AUDITOR = person(4), person(5)
VENDOR = Path(__file__).parent.parent.parent / "static" / "vendor" / "onnxruntime-web-1.30.0"
GRAPH = onnx.chain()
Post = Callable[[str, Any], tuple[int, Any]]


def uuid(number: int) -> str:
    """The id of execution `number`."""
    return f"0192f3a4-5b6c-7d8e-9f01-{number:012x}"


def x(number: int) -> Tensor:
    return floats("x", float(number), float(number % 5))


def y(number: int) -> Tensor:
    """What the model gives for `x(number)`, exactly."""
    first, second = struct.unpack("<2f", x(number).data)
    a = (first + 0.5 * second, -first + 3.0 * second)
    return floats("y", max(a[0], 0.0) + 0.5, max(a[1], 0.0) + 0.25)


@dataclass(eq=False)
class Site(ThreadingHTTPServer):
    """Serves `pages`, keeps connections open, and answers POST by `post`."""

    pages: dict[str, Answer] = field(default_factory=dict)
    post: Post = lambda path, body: (404, {"error": {"code": "x", "message": "no", "detail": {}}})
    asked: list[str] = field(default_factory=list)
    posted: list[tuple[str, Any]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    connections: int = 0
    before: Callable[[str], object] = lambda path: None

    daemon_threads = True

    def __post_init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Site
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.tokens.add(self.headers.get("Authorization", ""))
        self.server.before(self.path)
        page = self.server.pages.get(self.path, (404, {}, b"{}"))
        self.answer(*((200, {}, page) if isinstance(page, bytes) else page))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        self.server.posted.append((self.path, body))
        status, value = self.server.post(self.path, body)
        self.answer(status, {}, json.dumps(value).encode())

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    """Serve for the length of a block."""
    with site:
        thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield site
        finally:
            site.shutdown()
            thread.join()


@dataclass
class Office:
    """The registry behind `site`, and alice, who audits it from `folder`."""

    folder: Path
    site: Site
    book: Logbook = field(default_factory=Logbook)
    ran: dict[int, Envelope] = field(default_factory=dict)
    more: dict[str, Answer] = field(default_factory=dict)
    cosign: Callable[[bytes], bytes] = lambda note: note

    def execute(
        self, number: int, claimed: Tensor | None = None, key: Any = EXECUTOR, **changed: Any
    ) -> None:
        """Log that execution `number` gave `claimed`: without one, what it truly gives."""
        data = (encode_tensors([x(number)]), encode_tensors([claimed or y(number)]))
        sets = [TensorSet(form="digest", sha256=sha256_hex(item)) for item in data]
        honest: dict[str, Any] = {
            "observed": replace(claims.execution().observed, origin=ORIGIN, tree_size=0),
            "execution": uuid(number),
            "graph": Graph(path="model.onnx", sha256=sha256_hex(GRAPH)),
            "input": sets[0],
            "output": sets[1],
        }
        predicate: ExecutionPredicate = claims.execution(**{**honest, **changed})
        about = Subject(name="output.tensors", sha256=predicate.output.sha256)
        index = len(self.book.bodies)
        self.ran[index] = self.book.add(render(predicate.statement([about])), key)
        place = f"/executions/{uuid(number)}"
        self.more[f"{place}/input.tensors"], self.more[f"{place}/output.tensors"] = data

    def publish(self, *sizes: int) -> None:
        """Serve the log as it is now, and a receipt for each execution."""
        found: dict[str, Answer] = dict(pages(self.book.files(*sizes)))
        found["/log/checkpoint"] = self.cosign(self.book.note())
        for index, envelope in self.ran.items():
            said = json.loads(envelope.payload)["predicate"]["execution"]
            found[f"/executions/{said}/receipt"] = self.receipt(index, envelope)
        for name in NAMES:
            path = f"/runtimes/{claims.runtime().digest}/{name}"
            found[path] = (VENDOR / name).read_bytes()
        found[f"/sha256/{sha256_hex(GRAPH)}"] = GRAPH
        self.site.pages = {**found, **self.more}

    def receipt(self, index: int, envelope: Envelope, book: Logbook | None = None) -> bytes:
        leaves = (book or self.book).leaves
        size = len(leaves)
        hashes = prove_inclusion(index, size, Leaves(leaves))
        log = parse_trusted_root(TRUSTED_ROOT).logs[0]
        key = next(k for k in (EXECUTOR, AUDITOR) if sign(envelope.payload, k) == envelope)
        entry = LogEntry(
            index=index,
            key_id32=log.key_id32,
            body=(book or self.book).bodies[index],
            inclusion=InclusionProof(
                index=index,
                root=root_of(leaves),
                size=size,
                hashes=tuple(hashes),
                checkpoint=self.cosign((book or self.book).note()),
            ),
        )
        return render_bundle(
            Bundle(envelope=envelope, hint=hint_for(public(key).spki), entry=entry)
        )

    # ------------------------------------------------------------------ alice

    @property
    def state(self) -> Path:
        return self.folder / "audit"

    @property
    def key(self) -> Path:
        return self.folder / "auditor.pem"

    def arguments(self, *more: object) -> list[str]:
        base = ("audit", self.site.url, "--origin", ORIGIN, "--state", self.state)
        return [str(item) for item in (*base, "--retries", 0, *more)]

    def audit(self, *more: object) -> Result:
        return CliRunner().invoke(app, self.arguments(*more))

    def events(self, *more: object, code: int = 0) -> list[dict[str, Any]]:
        result = self.audit("--json", *more)
        assert result.exit_code == code, result.output
        return [json.loads(line) for line in result.stdout.splitlines()]

    def outcomes(self, *more: object, code: int = 0) -> dict[int, str]:
        """Audit everything; return what came of each execution by its number."""
        self.events("--all", *more, code=code)
        return {
            int(item["execution"][-12:] or "0", 16): item["outcome"]
            for one in self.report()["rounds"]
            for item in one["drawn"]
        }

    def report(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((self.state / "report.json").read_bytes())
        return told

    def text(self) -> str:
        return (self.state / "report.txt").read_text()

    def result(self, number: int) -> dict[str, Any]:
        found: dict[str, Any] = next(
            item
            for one in self.report()["rounds"]
            for item in one["drawn"]
            if item["execution"] == uuid(number)
        )
        return found

    def lines(self, number: int = 1) -> list[Any]:
        path = self.state / "rounds" / f"{number:06}.jsonl"
        return [parse_record(json.loads(line)) for line in path.read_bytes().splitlines()]

    def register(self) -> None:
        """Let the registry know alice's key, and take what she signs."""
        found = public(AUDITOR).fingerprint
        told = {"role": "auditor", "state": "registered", "fingerprint": found}
        self.more[f"/api/v1/keys/{found}"] = canonical_json(told)
        self.site.pages.update(self.more)
        self.site.post = lambda path, body: (201, {"entry": {"log": ORIGIN, "index": 77}})

    def trace(self, number: int, graph: bytes = GRAPH) -> Trace:
        """The trace of a run of `graph`, which is said to be one of the published graph."""
        files = {name: (VENDOR / name).read_bytes() for name in NAMES}
        made, _ = trace_again(
            Material(graph=graph, input=encode_tensors([x(number)])),
            claims.runtime(),
            NodeRunner(node=find_node(), files=files),
        )
        return replace(made, graph=sha256_hex(GRAPH))

    def show_traces(self, number: int, *made: Trace) -> None:
        """Serve traces of an execution."""
        place = f"/api/v1/executions/{uuid(number)}/traces"
        items = [
            {"id": str(at), "state": "done", "trace_url": f"{place}/{at}/trace.json"}
            for at in range(len(made))
        ]
        self.site.pages[place] = canonical_json({"items": items, "next": ""})
        for at, trace in enumerate(made):
            self.site.pages[f"{place}/{at}/trace.json"] = trace.render()


FAKE = """
import json, struct
while line := sys.stdin.buffer.readline():
    job = json.loads(line)
    read = lambda n: sys.stdin.buffer.read(n)
    read(job['graph'])
    x = struct.unpack('<2f', read(8))
    a = (x[0] + .5 * x[1], -x[0] + 3 * x[1])
    y = struct.pack('<2f', max(a[0], 0) + .5, max(a[1], 0) + .25)
    head = {'name': 'y', 'datatype': 'FP32', 'shape': [1, 2], 'size': 8}
    sys.stdout.buffer.write(json.dumps({'outputs': [head]}).encode() + b'\\n' + y)
    sys.stdout.flush()
"""


@contextmanager
def office(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, real: bool = False
) -> Iterator[Office]:
    """A registry with nothing in its log, and alice, who has pinned it; a quick Node, or a real."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    for name in ("ASSAY_TRUST", "ASSAY_TOKEN", "ASSAY_PASSPHRASE", "NODE_BINARY"):
        monkeypatch.delenv(name, raising=False)
    if not real:
        monkeypatch.setenv("NODE_BINARY", str(program(folder, "node", FAKE)))
    pins = folder / "config" / "assay" / ORIGIN
    pinned(pins)
    executor = public(EXECUTOR)
    row: dict[str, Any] = {"fingerprint": executor.fingerprint, "role": "executor"}
    row |= {"owner": ORIGIN, "publicKey": executor.pem, "index": None}
    (pins / "keys.json").write_bytes(canonical_json({"keys": [row]}))
    pem = AUDITOR.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "auditor.pem").write_bytes(pem)
    (folder / "auditor.pem").chmod(0o600)
    with serving(Site()) as site:
        yield Office(folder, site)
