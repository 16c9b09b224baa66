"""The skeletons of graphs, for drawings: made by the executor's jail, remembered by their digest.

Nothing durable is written. A skeleton is a function of the graph's bytes, so what a process
remembers is never out of date; what it forgot is made again. That there is none is remembered for
a while: a graph that is refused after the jail's whole time would keep it from others at each look.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

from assay.canonical import canonical_json
from inference.client import ExecutorError, ExecutorUnavailableError
from inference.errors import (
    ExecutorAwayError,
    ExecutorBusyError,
    InferenceError,
    NotDrawnError,
)
from inference.services.asking import executor, read_blob

MAX_GRAPH_BYTES = 128 * 2**20  # of the file, with the weights that it holds itself
KEPT = 16
REFUSED_S = 600  # what took too long may have shared a busy machine
MOST_REFUSED = 1_000
_lock = threading.Lock()
_kept: OrderedDict[str, bytes] = OrderedDict()
_refused: OrderedDict[str, tuple[float, str]] = OrderedDict()  # when, and why


def skeleton(sha256: str, size: int) -> bytes:
    """Return the skeleton of the stored graph `sha256` of `size` bytes, JSON.

    Raises:
        NotDrawnError: it has none; the message says which limit is in the way.
        ExecutorBusyError, ExecutorAwayError: try again.
        UnknownFileError: it is not stored.
    """
    with _lock:
        if sha256 in _kept:
            _kept.move_to_end(sha256)
            return _kept[sha256]
        at, reason = _refused.get(sha256, (0.0, ""))
    if reason and time.monotonic() - at < REFUSED_S:
        raise NotDrawnError(reason)
    if size > MAX_GRAPH_BYTES:
        raise NotDrawnError(
            f"The graph is not drawn: its file has {size} bytes, and files of at most "
            f"{MAX_GRAPH_BYTES} are read for a drawing. Weights in files beside it do not count."
        )
    made = _made(sha256)
    with _lock:
        _kept[sha256] = made
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return made


def _made(sha256: str) -> bytes:
    try:
        answer = executor().sketch(sha256, read_blob).header
    except ExecutorUnavailableError as error:
        raise ExecutorAwayError("No executor answers; try again in a moment.") from error
    except ExecutorError as error:
        if error.code == "busy":
            raise ExecutorBusyError("Another graph is being read; try again.") from error
        raise InferenceError("The executor failed; it was noted.") from error
    if answer["skeleton"] is None:
        reason = f"The graph is not drawn: {answer['reason']}."
        _remember_refusal(sha256, reason)
        raise NotDrawnError(reason)
    return canonical_json(answer["skeleton"])


def _remember_refusal(sha256: str, reason: str) -> None:
    with _lock:
        _refused[sha256] = time.monotonic(), reason
        _refused.move_to_end(sha256)
        while len(_refused) > MOST_REFUSED:
            _refused.popitem(last=False)
