"""Step 5: ranks, dimensions and metadata against the constants; the walk did the rest."""

from __future__ import annotations

from collections.abc import Iterator

from inference.executor.inspect import constants as c
from inference.executor.inspect.findings import RejectedError
from inference.executor.inspect.wire import Message


def descend(root: Message) -> Iterator[Message]:
    """Yield every message below `root`, itself first, without recursion."""
    stack = [root]
    while stack:
        message = stack.pop()
        yield message
        for value in message.fields.values():
            if isinstance(value, Message):
                stack.append(value)
            elif isinstance(value, list) and value and isinstance(value[0], Message):
                stack.extend(value)


def check_counts(model: Message) -> None:
    """Refuse absurd shapes and too much metadata.

    Raises:
        RejectedError: rank, text.
    """
    for message in descend(model):
        if message.kind == "Shape" and len(message.list("dim")) > c.MAX_RANK:
            raise RejectedError("rank", message.place, f"at most {c.MAX_RANK} dimensions")
        if message.kind == "Dimension" and message.number("dim_value") > c.MAX_DIM:
            raise RejectedError("rank", message.place, f"a dimension is at most {c.MAX_DIM}")
        entries = message.list("metadata_props")
        if len(entries) > c.MAX_METADATA_ENTRIES:
            raise RejectedError("text", message.place, f"at most {c.MAX_METADATA_ENTRIES} entries")
        size = sum(len(item.text("key")) + len(item.text("value")) for item in entries)
        if size > c.MAX_METADATA_BYTES:
            raise RejectedError(
                "text", message.place, f"at most {c.MAX_METADATA_BYTES} of metadata"
            )
