"""A registry as those meet it who run and fetch models: true answers, and whatever a test bends."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from assay.bundle import render_bundle
from assay.canonical import canonical_json
from assay.cli.asking import LENGTH
from assay.digests import sha256_hex
from assay.dsse import compact
from assay.manifest import Manifest
from assay.receipt import parse_receipt
from assay.statements import (
    AliasPredicate,
    ExecutionPredicate,
    Observed,
    ReleasePredicate,
    Subject,
    TensorSet,
    render,
)
from assay.tensors import decode_tensors
from tests.assay import claims
from tests.assay.vectors import vector

Answer = tuple[int, dict[str, str], bytes]
# Answers a request in place of the shop: method, path, headers in lower case, body.
Bend = Callable[[str, str, dict[str, str], bytes], Answer | None]
REVISION = "4f631084a157c54f54fcfb23ff5eb8650c4ba160"
FILES = {"README.md": b"# Add\n", "add.onnx": claims.MODEL.read_bytes(), "sub/copy.md": b"# Add\n"}


def as_json(value: Any, status: int = 200, **headers: str) -> Answer:
    return status, {"Content-Type": "application/json", **headers}, json.dumps(value).encode()


def refusal(status: int, code: str, **headers: str) -> Answer:
    """An error as the protocol's surface tells it."""
    return as_json({"error": f"It is {code}.", "code": code}, status, **headers)


def no_such(what: str) -> Answer:
    """An error as the REST API tells it."""
    return as_json({"error": {"code": "unknown", "message": f"No {what}.", "detail": {}}}, 404)


def write_pins(
    folder: Path,
    changed: Mapping[str, bytes] | None = None,
    *,
    role: str = "executor",
    owner: str = "",
) -> None:
    """Pin the vectors' log, and its key for `role` and `owner`; `changed` files as they are."""
    key = claims.public_key()
    row = {"fingerprint": key.fingerprint, "role": role, "owner": owner, "publicKey": key.pem}
    files = {
        "trusted_root.json": vector("trusted_root.json"),
        "policy.txt": vector("witness-policy.txt"),
        "keys.json": canonical_json({"keys": [{**row, "index": 0}]}),
        **(changed or {}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


@dataclass
class Shop:
    """Alice's model `alice/add`, which runs and is released; `bend` may answer instead."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=lambda: dict(FILES))
    version: str = "1.0.0"
    private: bool = False
    bend: Bend = lambda method, path, headers, body: None
    said: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    output: bytes = claims.OUTPUT

    @property
    def manifest(self) -> Manifest:
        return Manifest.from_pairs((name, sha256_hex(data)) for name, data in self.files.items())

    def paths(self, method: str = "GET") -> list[str]:
        return [path for verb, path, _, _ in self.asked if verb == method]

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        self.asked.append((method, path, headers, body))
        bent = self.bend(method, path, headers, body)
        if bent is not None:
            return bent
        if path.startswith("/v2/"):
            return self._protocol(method, path, headers, body)
        if path.startswith("/executions/"):
            return self._execution(path)
        if path.startswith("/hf/"):
            return self._file(path, headers)
        if path.startswith("/sha256/"):
            return 200, {}, canonical_json(self.manifest.to_list())
        return self._rest(path.removeprefix("/api/v1/").partition("?")[0].split("/"))

    # ---------------------------------------------------------------- running

    def execution(self) -> ExecutionPredicate:
        """Return what the executor says, with what the test makes it say."""
        said: dict[str, Any] = {"manifest": self.manifest.digest, **self.said}
        if self.private:
            said["input"] = claims.private_set(claims.INPUT)
            said["output"] = claims.private_set(self.output)
        else:
            output = TensorSet(form="digest", sha256=sha256_hex(self.output))
            said = {"output": output, **said}
        return claims.execution(**said)

    def receipt(self) -> bytes:
        return claims.receipt_of(self.execution())

    def _protocol(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        if method == "GET":
            port = {"datatype": "FP32", "shape": [-1, 3]}
            inputs = [{"name": name, **port} for name in ("x", "y")]
            return as_json({"name": "alice/add", "inputs": inputs, "outputs": []})
        length = int(headers[LENGTH])
        sent = json.loads(body[:length])
        assert len(body) - length == sum(
            item["parameters"]["binary_data_size"] for item in sent["inputs"]
        )
        if headers.get("prefer"):
            parameters = {"execution_id": claims.EXECUTION_ID, "state": "queued"}
            return as_json({"parameters": parameters, "outputs": []}, 202)
        tensors = decode_tensors(self.output)
        envelope = parse_receipt(self.receipt()).bundle.envelope
        parameters = {"execution_id": claims.EXECUTION_ID, "receipt": compact(envelope)}
        if self.private:
            parameters["salt"] = f"{claims.SALT.hex()}.{claims.SALT.hex()}"
        items = [
            {**tensor.header(), "parameters": {"binary_data_size": len(tensor.data)}}
            for tensor in reversed(tensors)
        ]
        head = json.dumps({"parameters": parameters, "outputs": items}).encode()
        tail = b"".join(tensor.data for tensor in reversed(tensors))
        return 200, {LENGTH: str(len(head))}, head + tail

    def _execution(self, path: str) -> Answer:
        name = path.partition("?")[0].rpartition("/")[2]
        return 200, {}, self.receipt() if name == "receipt" else self.output

    # ---------------------------------------------------------------- fetching

    def release(self, **changed: Any) -> bytes:
        """Return the bundle of the release statement."""
        said = ReleasePredicate(
            **{
                "observed": Observed(origin=claims.ORIGIN, tree_size=0, root_hash="ab" * 32),
                "model": "alice/add",
                "revision": REVISION,
                "version": self.version,
                "manifest": self.manifest.digest,
                "card": sha256_hex(self.files["README.md"]),
                "license": "mit",
                "previous": None,
                **changed,
            }
        )
        subjects = [Subject(name=name, sha256=sha256_hex(d)) for name, d in self.files.items()]
        return render_bundle(claims.logged(render(said.statement(subjects))))

    def signature(self) -> bytes:
        return render_bundle(claims.logged(self.manifest.oms_statement("add")))

    def alias(self, **changed: Any) -> bytes:
        said = AliasPredicate(
            **{
                "observed": Observed(origin=claims.ORIGIN, tree_size=0, root_hash="ab" * 32),
                "model": "alice/add",
                "alias": "stable",
                "revision": REVISION,
                "previous": None,
                **changed,
            }
        )
        subject = Subject(name="", sha256=self.manifest.digest)
        return render_bundle(claims.logged(render(said.statement([subject]))))

    def told(self) -> dict[str, Any]:
        """Return the release as the REST API tells of it."""
        numbers = {"release": 11, "oms": 12, "card": 13}
        return {
            "model": "alice/add",
            "version": self.version,
            "revision": REVISION,
            "manifest": self.manifest.digest,
            "claims": {
                kind: {"log": claims.ORIGIN, "index": index} for kind, index in numbers.items()
            },
        }

    def _rest(self, parts: list[str]) -> Answer:
        model = ["models", "alice", "add"]
        files = [
            {"path": name, "sha256": sha256_hex(data), "size": len(data)}
            for name, data in self.files.items()
        ]
        move = {"log": claims.ORIGIN, "index": 14}
        pages: dict[tuple[str, ...], Any] = {
            (*model,): {"id": "alice/add", "head": REVISION},
            (*model, "releases"): {"items": [self.told()], "next": ""},
            (*model, "releases", "latest"): self.told(),
            (*model, "releases", "stable"): self.told(),
            (*model, "releases", self.version): self.told(),
            (*model, "releases", REVISION): self.told(),
            (*model, "revisions", REVISION): {"id": REVISION, "files": files},
            (*model, "aliases", "stable"): {"alias": "stable", "move": move},
            ("ledger", "logs"): {"logs": [{"origin": "old"}, {"origin": claims.ORIGIN}]},
            ("ledger", "entries"): {"entries": [{"model": "alice/add"}, {"model": "alice/add"}]},
            ("executions", claims.EXECUTION_ID): {"state": "succeeded", "receipt": "a.b"},
        }
        if parts[:2] == ["ledger", "entries"] and len(parts) == 3:
            makers = {"11": self.release, "12": self.signature, "14": self.alias}
            return as_json({"bundle": json.loads(makers[parts[2]]())})
        found = pages.get(tuple(parts))
        return no_such("/".join(parts)) if found is None else as_json(found)

    def _file(self, path: str, headers: dict[str, str]) -> Answer:
        data = self.files[path.partition(f"/resolve/{REVISION}/")[2]]
        if "range" not in headers:
            return 200, {}, data
        start = int(headers["range"].removeprefix("bytes=").removesuffix("-"))
        span = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return 206, {"Content-Range": span}, data[start:]


@contextmanager
def open_shop(shop: Shop) -> Iterator[Shop]:
    """Serve the shop on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {name.lower(): text for name, text in self.headers.items()}
            status, more, data = shop.answer(self.command, self.path, headers, body)
            if not status:  # the answer is lost
                self.close_connection = True
                return
            self.send_response(status)
            for name, text in {"Content-Length": str(len(data)), **more}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def log_message(self, format: str, *args: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    shop.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield shop
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
