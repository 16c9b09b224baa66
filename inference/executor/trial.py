"""A run on zeros: whether a model can run at all, told before anybody asks it."""

from __future__ import annotations

import math

from assay.tensors import DATATYPES, Tensor
from inference.executor.hosts import Loaded
from inference.executor.protocol import RefusalError
from inference.executor.values import Value

MAX_ELEMENTS = 2**24


def zero_run(loaded: Loaded) -> tuple[list[Tensor], list[str]]:
    """Return an input of zeros for each that `loaded` takes, free dimensions 1, and all outputs.

    Raises:
        RefusalError: not_runnable: it takes or gives what is no tensor here, or takes very much.
    """
    inputs = [_zeros(value) for value in loaded.inputs]
    zeros = [tensor for tensor in inputs if tensor is not None]
    outputs = all(value.datatype in DATATYPES for value in loaded.outputs)
    if len(zeros) < len(inputs) or not outputs:
        words = "it has inputs or outputs that the portable runtime cannot take or give"
        raise RefusalError("not_runnable", words)
    return zeros, [value.name for value in loaded.outputs]


def _zeros(value: Value) -> Tensor | None:
    shape = tuple(1 if size < 0 else size for size in value.shape)
    count = math.prod(shape)
    if value.datatype not in DATATYPES or value.datatype == "BF16" or count > MAX_ELEMENTS:
        return None
    size = DATATYPES[value.datatype] or 4  # an empty string is its length, zero
    return Tensor(name=value.name, datatype=value.datatype, shape=shape, data=bytes(count * size))
