"""The stock clients of Triton at work, and what their tensors are made of."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from assay.dsse import parse_compact
from assay.receipt import execution_of
from assay.statements import ExecutionPredicate, parse_statement
from tests.inference.oip.world import World

T = TypeVar("T")
Ask = Callable[..., Any]


def _extremes(name: str) -> Any:
    info = np.iinfo(name.lower())
    return np.array([[info.min, info.max]], dtype=name.lower())


SAMPLES: dict[str, Any] = {
    "BOOL": np.array([[True, False]]),
    "FP16": np.array([[1.5, -2.0]], dtype=np.float16),
    "FP32": np.array([[0.1, -0.0]], dtype=np.float32),
    "FP64": np.array([[0.1, 1e300]], dtype=np.float64),
    "BYTES": np.array([["é".encode(), b""]], dtype=np.object_),
    **{
        name: _extremes(name)
        for name in (f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))
    },
}


def with_aio(live: World, use: Callable[[Any], Awaitable[T]]) -> T:
    async def run() -> T:
        async with triton_aio.InferenceServerClient(live.address) as client:
            return await use(client)

    with warnings.catch_warnings():
        # Its questions about readiness leave their connections to the collector.
        warnings.filterwarnings("ignore", "Unclosed connection", ResourceWarning)
        try:
            return asyncio.run(run())
        finally:
            gc.collect()


def both(live: World, method: str, *arguments: Any, **named: Any) -> list[Any]:
    """Call a method of the synchronous and of the asyncio client; return both results."""
    with triton.InferenceServerClient(live.address) as client:
        first = getattr(client, method)(*arguments, **named)
    return [first, with_aio(live, lambda aio: getattr(aio, method)(*arguments, **named))]


def both_refused(live: World, words: str, method: str, *arguments: Any, **named: Any) -> None:
    """Check that both clients show `words` (a pattern) when a method is called."""
    with (
        triton.InferenceServerClient(live.address) as client,
        pytest.raises(InferenceServerException, match=words),
    ):
        getattr(client, method)(*arguments, **named)
    with pytest.raises(InferenceServerException, match=words):
        with_aio(live, lambda aio: getattr(aio, method)(*arguments, **named))


def given(value: Any, name: str = "x", *, binary: bool = True) -> triton.InferInput:
    tensor = triton.InferInput(name, list(value.shape), np_to_triton_dtype(value.dtype))
    tensor.set_data_from_numpy(value, binary_data=binary)
    return tensor


def wanted(name: str = "y", *, binary: bool) -> list[triton.InferRequestedOutput]:
    return [triton.InferRequestedOutput(name, binary_data=binary)]


def floats(*values: float) -> Any:
    return np.array(values, dtype=np.float32)


def equal(found: Any, expected: Any) -> bool:
    if expected.dtype == np.object_:
        return [bytes(x) for x in found.ravel()] == [bytes(x) for x in expected.ravel()]
    return bool(found.dtype == expected.dtype and found.tobytes() == expected.tobytes())


def predicate_of(receipt: str) -> ExecutionPredicate:
    return execution_of(parse_statement(parse_compact(receipt).payload))


def predicate(result: Any) -> ExecutionPredicate:
    return predicate_of(result.get_response()["parameters"]["receipt"])
