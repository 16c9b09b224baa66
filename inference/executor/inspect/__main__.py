"""The jailed child: one request on standard input, one answer, then the end.

`python -m inference.executor.inspect walk|check|sketch`. The launcher took network, file sizes,
memory and time away; the file system goes here, after the imports and before the first byte of the
file.
"""

from __future__ import annotations

import importlib
import socket
import sys
from typing import Any

from inference.executor import jail
from inference.executor.inspect.sketch import sketch
from inference.executor.inspect.steps import walk
from inference.executor.protocol import MAX_BLOB_BYTES, Frame, Stream, send


def main(step: str) -> None:
    """Answer one request."""
    checker = (
        importlib.import_module("inference.executor.inspect.checker") if step == "check" else None
    )
    jail.landlock([])
    connection = socket.socket(fileno=0)
    request = Stream(connection).frame(MAX_BLOB_BYTES)
    answer: dict[str, Any]
    try:
        if checker is not None:
            answer = checker.check(request.tail)
        elif step == "sketch":
            answer = sketch(request.tail)
        else:
            header = request.header
            answer = walk(request.tail, header["graph"], header["files"])
    except MemoryError:
        answer = {"error": "memory"}
    send(connection, Frame(header=answer))


if __name__ == "__main__":
    main(sys.argv[1])
