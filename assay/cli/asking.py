"""Asking a model, by the Open Inference Protocol with binary tensors, and what comes back.

The bytes that are sent are those that get hashed, and the bytes that come are hashed here: nothing
passes through JSON numbers. What the answer says is compared with its receipt by `assay.cli.run`.

1. Without a token a request whose answer was lost is not sent again: it may have run. With a token
   it carries an `Idempotency-Key`, so sending it again starts nothing twice.
2. 429, 502 and 503 are asked again, as `Retry-After` says, until the patience ends.
3. A queued execution is asked for until it has ended; its output is then fetched as the file that
   was hashed.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from assay.canonical import as_list, as_object, as_text, canonical_json, parse_json
from assay.cli.api import Api, RefusedError, part_of
from assay.cli.exchange import Reply, exchange
from assay.digests import parse_hex
from assay.errors import FormatError, UnavailableError, VerificationError
from assay.limits import LIMITS
from assay.receipt import OUTPUT_NAME
from assay.tensors import Tensor, decode_tensors, encode_tensors

POLL_S = 1.0
MAX_POLL_S = 25
ANSWER_S = 90.0
LENGTH = "inference-header-content-length"
_BUSY = (429, 502, 503)
_RECEIPT_BYTES = LIMITS.bundle


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for: `model` is owner/name; `version` "" is the newest release.

    `patience_s` is for how long a busy server, a queue and the log are waited for.
    """

    model: str
    version: str
    executor: str = ""
    private: bool = False
    queue: bool = False
    patience_s: float = 60.0

    @property
    def path(self) -> str:
        """The path of the model in the protocol."""
        owner, _, name = self.model.partition("/")
        version = f"/versions/{part_of(self.version)}" if self.version else ""
        return f"v2/models/{part_of(owner)}/{part_of(name)}{version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, unchecked: `output` is the file output.tensors.

    `statement` is the signed statement in compact form, "" where it came without; the salts are
    those of a private execution.
    """

    execution: str
    output: bytes
    statement: str
    input_salt: bytes | None = None
    output_salt: bytes | None = None


class Site:
    """A registry as somebody asks it who runs models: one address, one token or none."""

    def __init__(self, api: Api) -> None:
        self.base = api.base.rstrip("/")
        self._token = {"Authorization": f"Bearer {api.token}"} if api.token else {}

    def metadata(self, wish: Wish) -> Any:
        """Return what the model takes and gives, as JSON; raises as `ask`."""
        reply = exchange(f"{self.base}/{wish.path}", headers=self._token, limit=LIMITS.bundle)
        return self._json(self._good(reply, wish.path))

    def ask(self, wish: Wish, inputs: Sequence[Tensor]) -> Answer:
        """Run the model on `inputs` and return what came back.

        Raises:
            RefusedError: the server said no: no such model, a wrong tensor, not allowed.
            UnavailableError: no answer, or still busy when the patience ended.
            FormatError: an answer that is not the protocol.
            VerificationError: the execution failed.
        """
        deadline = time.monotonic() + wish.patience_s
        head, tail = _request(wish, inputs)
        headers = {**self._token, LENGTH: str(len(head))}
        if self._token:
            headers["Idempotency-Key"] = str(uuid.uuid4())
        if wish.queue:
            headers["Prefer"] = "respond-async"
        reply = self._sent(f"{wish.path}/infer", head + tail, headers, deadline)
        if reply.status == 202:
            return self._queued(reply, deadline)
        return _answer(self._good(reply, wish.path))

    def receipt(self, execution: str, wait_s: int) -> bytes | None:
        """Return the receipt of an execution, None while no published checkpoint covers it.

        Raises: as `ask`.
        """
        name = f"executions/{quote(execution)}/receipt?wait={min(wait_s, MAX_POLL_S)}"
        reply = exchange(f"{self.base}/{name}", headers=self._token, limit=_RECEIPT_BYTES)
        if reply.status == 404 and b"not_included_yet" in reply.body:
            return None
        return self._good(reply, name).body

    def _sent(self, name: str, data: bytes, headers: dict[str, str], deadline: float) -> Reply:
        url = f"{self.base}/{name}"
        limit = LIMITS.tensor_bytes
        while True:
            wait = POLL_S
            try:
                reply = exchange(
                    url, method="POST", data=data, headers=headers, limit=limit, timeout_s=ANSWER_S
                )
            except UnavailableError:
                if not self._token or time.monotonic() + wait > deadline:
                    raise
            else:
                wait = _retry_after(reply)
                if reply.status not in _BUSY or time.monotonic() + wait > deadline:
                    return reply
            time.sleep(wait)

    def _queued(self, reply: Reply, deadline: float) -> Answer:
        parameters = _parameters(self._json(reply))
        execution = as_text(parameters.get("execution_id"), "parameters.execution_id")
        name = f"api/v1/executions/{quote(execution)}"
        while True:
            left = max(0, min(MAX_POLL_S, int(deadline - time.monotonic())))
            reply = exchange(
                f"{self.base}/{name}?wait={left}", headers=self._token, limit=LIMITS.tensor_bytes
            )
            told = self._json(self._good(reply, name))
            state = told.get("state")
            if state == "succeeded":
                return self._finished(execution, told)
            if state not in ("queued", "running"):
                raise VerificationError(f"the execution {execution} {state}: {told.get('error')}")
            if time.monotonic() >= deadline:
                raise UnavailableError(
                    f"the execution {execution} is still {state}: it goes on; --wait waits longer"
                )
            time.sleep(POLL_S)

    def _finished(self, execution: str, told: dict[str, Any]) -> Answer:
        name = f"executions/{quote(execution)}/{OUTPUT_NAME}"
        reply = exchange(f"{self.base}/{name}", headers=self._token, limit=LIMITS.tensor_bytes)
        output = self._good(reply, name).body
        decode_tensors(output)
        salts = told.get("salts") or {}
        return Answer(
            execution=execution,
            output=output,
            statement=str(told.get("receipt") or ""),
            input_salt=parse_hex(salts["input"], "salts.input") if salts else None,
            output_salt=parse_hex(salts["output"], "salts.output") if salts else None,
        )

    def _good(self, reply: Reply, name: str) -> Reply:
        """Return `reply` if its status is 200; raises as `ask`."""
        if reply.status == 200:
            return reply
        code, words = "", f"{self.base}/{name} answered {reply.status}"
        try:
            told = parse_json(reply.body)
            error = told["error"]
            message = error["message"] if isinstance(error, dict) else error
            code = str(error["code"] if isinstance(error, dict) else told["code"])
            words = f"{message} ({code})"
        except (FormatError, KeyError, TypeError):
            if "location" in reply.headers:
                words += f" and leads to {reply.headers['location']}"
        if reply.status >= 500 or reply.status == 429:
            raise UnavailableError(words)
        raise RefusedError(words, status=reply.status, code=code, detail={})

    def _json(self, reply: Reply) -> dict[str, Any]:
        value = parse_json(reply.body, max_bytes=LIMITS.tensor_bytes, path="answer")
        if not isinstance(value, dict):
            raise FormatError("is not an object", "answer")
        return value


def _retry_after(reply: Reply) -> float:
    text = reply.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else POLL_S


# ------------------------------------------------------------------ the protocol's two halves


def _request(wish: Wish, inputs: Sequence[Tensor]) -> tuple[bytes, bytes]:
    """Return the JSON of the request and the bytes behind it."""
    parameters: dict[str, Any] = {"binary_data_output": True}
    if wish.executor:
        parameters["executor"] = wish.executor
    if wish.private:
        parameters["private"] = True
    items = [
        {**tensor.header(), "parameters": {"binary_data_size": len(tensor.data)}}
        for tensor in inputs
    ]
    head = canonical_json({"inputs": items, "parameters": parameters})
    return head, b"".join(tensor.data for tensor in inputs)


def _answer(reply: Reply) -> Answer:
    text = reply.headers.get(LENGTH, str(len(reply.body)))
    if not (text.isascii() and text.isdigit()) or int(text) > len(reply.body):
        raise FormatError("the length of the JSON is no length in the answer", "answer")
    head, tail = reply.body[: int(text)], reply.body[int(text) :]
    value = parse_json(head, path="answer")
    parameters = _parameters(value)
    salts = _salts(as_text(parameters.get("salt", ""), "parameters.salt"))
    return Answer(
        execution=as_text(parameters.get("execution_id"), "parameters.execution_id"),
        output=encode_tensors(_outputs(value, tail)),
        statement=as_text(parameters.get("receipt", ""), "parameters.receipt"),
        input_salt=salts[0],
        output_salt=salts[1],
    )


def _parameters(value: Any) -> dict[str, Any]:
    parameters = value.get("parameters") if isinstance(value, dict) else None
    if not isinstance(parameters, dict):
        raise FormatError("has no parameters", "answer")
    return parameters


def _outputs(value: dict[str, Any], tail: bytes) -> list[Tensor]:
    offset, found = 0, []
    for index, item in enumerate(as_list(value.get("outputs"), "outputs")):
        path = f"outputs[{index}]"
        names = ("name", "datatype", "shape", "parameters")
        fields = as_object(item, path, required=names)
        size = _parameters(fields).get("binary_data_size")
        if not isinstance(size, int) or not 0 <= size <= len(tail) - offset:
            raise FormatError("binary_data_size is no size", path)
        tensor = Tensor(
            name=as_text(fields["name"], f"{path}.name"),
            datatype=as_text(fields["datatype"], f"{path}.datatype"),
            shape=tuple(_dimension(dim, path) for dim in as_list(fields["shape"], path)),
            data=tail[offset : offset + size],
        )
        offset += size
        found.append(tensor)
    if offset != len(tail):
        raise FormatError(f"{len(tail) - offset} bytes after the last output", "answer")
    return found


def _dimension(value: object, path: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise FormatError("a dimension is a whole number", path)
    return value


def _salts(text: str) -> tuple[bytes | None, bytes | None]:
    """Return the salts of input and output in `text`, hex with a dot between; "" for none."""
    if not text:
        return None, None
    first, _, second = text.partition(".")
    return parse_hex(first, "parameters.salt"), parse_hex(second, "parameters.salt")
