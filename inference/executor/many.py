"""`infer_many`: several executions of one model in one frame, to spare round trips.

Each is a run of its own: one after the other on whatever process is free, hashed and signed alone,
with an answer or a refusal of its own. Nothing is batched inside a model, so no bit of an answer
depends on its neighbours.

    request   {"op": "infer_many", fields that all share, "stop_after_s": s, "items": [fields, …]}
    answer    {"ok": true, "items": [header of an `infer` answer or refusal, …]}

The tails are the items' tails one after the other; `tail` in each item is its length. What was not
begun `stop_after_s` seconds after the first, or after `MAX_ANSWER_BYTES` of answers, is refused as
`busy`: the caller may ask again. Files that are missing are asked for before anything has run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from assay.errors import FormatError
from inference.executor.protocol import Frame, RefusalError

MAX_ITEMS = 256
MAX_ANSWER_BYTES = 64 * 2**20
SHARED = (
    *("revision", "resources", "graph", "external", "checkpoint"),
    *("slot_wait_s", "kind", "runtime"),
)


def joined(requests: Sequence[Frame], stop_after_s: float) -> Frame:
    """Return `requests`, the frames of `infer` requests that agree in `SHARED`, as one frame."""
    shared = {name: requests[0].header[name] for name in SHARED}
    items: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for request in requests:
        own = {name: value for name, value in request.header.items() if name not in SHARED}
        items.append({**own, "tail": sum(len(part) for part in request.parts)})
        parts += request.parts
    header = {**shared, "op": "infer_many", "stop_after_s": stop_after_s, "items": items}
    return Frame(header=header, parts=parts)


def split(answer: Frame) -> Iterator[Frame]:
    """Yield the frames in an answer to `infer_many`.

    Raises:
        FormatError: it is no such answer.
    """
    yield from _items(answer.header, answer.tail)


def _items(header: Mapping[str, Any], tail: bytes) -> Iterator[Frame]:
    items, offset = header.get("items"), 0
    if not isinstance(items, list) or not 0 < len(items) <= MAX_ITEMS:
        raise FormatError(f"there are no items, or more than {MAX_ITEMS}")
    for item in items:
        size = item.get("tail") if isinstance(item, dict) else None
        if type(size) is not int or not 0 <= size <= len(tail) - offset:
            raise FormatError("an item has no tail of a length that is there")
        yield Frame(header=item, tail=tail[offset : offset + size])
        offset += size
    if offset != len(tail):
        raise FormatError("bytes follow the last item")


def infer_many(
    request: Frame, infer: Callable[[Frame], Frame], *, missing: type[Exception]
) -> Frame:
    """Answer `request` by `infer` for each item.

    `missing` is how `infer` asks for files: from the first item it goes on to the caller, later
    (the model was dropped meanwhile) it is a refusal.

    Raises:
        FormatError, `missing`, and what `infer` raises when nobody waits any more.
    """
    shared = {name: request.header.get(name) for name in SHARED}
    stop_after_s = request.header.get("stop_after_s")
    if isinstance(stop_after_s, bool) or not isinstance(stop_after_s, int | float):
        raise FormatError("stop_after_s is a number of seconds")
    until = time.monotonic() + stop_after_s
    answers: list[Frame] = []
    total = 0
    for item in list(_items(request.header, request.tail)):
        if answers and (time.monotonic() > until or total > MAX_ANSWER_BYTES):
            answers.append(
                _refused(RefusalError("busy", "the time for this frame is over", retry=True))
            )
            continue
        try:
            answers.append(infer(Frame(header={**item.header, **shared}, tail=item.tail)))
        except missing:
            if not answers:
                raise
            answers.append(_refused(RefusalError("busy", "the model has to be loaded", retry=True)))
        except RefusalError as refusal:
            answers.append(_refused(refusal))
        except FormatError as error:
            answers.append(_refused(RefusalError("bad_input", str(error))))
        except MemoryError:
            answers.append(_refused(RefusalError("internal", "out of memory", retry=True)))
        total += sum(len(part) for part in answers[-1].parts)
    return _answer(answers)


def _answer(answers: Sequence[Frame]) -> Frame:
    items = [{**one.header, "tail": sum(len(part) for part in one.parts)} for one in answers]
    parts = [part for one in answers for part in one.parts]
    return Frame(header={"ok": True, "items": items}, parts=parts)


def _refused(refusal: RefusalError) -> Frame:
    return Frame(header=refusal.to_header())
