"""The stock client, unmodified: `tritonclient.http`, synchronous and asyncio."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

from assay.tensors import Tensor, tensor_digest
from inference.models import Execution
from tests.inference.oip.stock import SAMPLES, equal, floats, given, predicate, with_aio
from tests.inference.oip.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.stock]


@pytest.fixture
def client(live: World) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(live.address) as made:
        yield made


def test_health_metadata_and_index(live: World, client: triton.InferenceServerClient) -> None:
    async def ask(aio: Any) -> list[Any]:
        return [
            await aio.is_server_live(),
            await aio.is_server_ready(),
            await aio.is_model_ready("alice/add"),
            await aio.is_model_ready("alice/nobody"),
            (await aio.get_model_metadata("alice--add"))["platform"],
        ]

    assert with_aio(live, ask) == [True, True, True, False, "onnx_onnxv1"]
    assert client.is_server_live()
    assert client.is_server_ready()
    for name in ("alice/add", "alice--add"):
        assert client.is_model_ready(name)
        assert client.is_model_ready(name, "1.0.0")
        assert client.get_model_metadata(name, "1.0.0")["versions"] == ["2.0.0", "1.0.0"]
    assert not client.is_model_ready("alice/draft")
    assert client.get_server_metadata()["name"] == "assay"
    assert {"name": "alice/net", "version": "1.0.0", "state": "READY", "reason": ""} in (
        client.get_model_repository_index()
    )


@pytest.mark.parametrize("datatype", sorted(SAMPLES))
def test_each_datatype_in_binary(
    live: World, client: triton.InferenceServerClient, datatype: str
) -> None:
    sample = SAMPLES[datatype]
    result = client.infer(f"alice/id-{datatype.lower()}", [given(sample)])
    assert equal(result.as_numpy("y"), sample)


@pytest.mark.parametrize("datatype", sorted(SAMPLES))
def test_each_datatype_in_binary_on_the_native_kind(
    live: World, client: triton.InferenceServerClient, datatype: str
) -> None:
    sample = SAMPLES[datatype]
    result = client.infer(
        f"alice/id-{datatype.lower()}", [given(sample)], parameters={"executor": "native"}
    )
    assert equal(result.as_numpy("y"), sample)
    assert predicate(result).runtime.kind == "native"


def test_bf16_is_for_the_native_kind_alone(
    live: World, client: triton.InferenceServerClient
) -> None:
    sample = floats(1.5, -2.0).reshape(1, 2)  # the client cuts each number to two bytes
    asked = triton.InferInput("x", [1, 2], "BF16").set_data_from_numpy(sample)
    with pytest.raises(InferenceServerException, match="BF16"):
        client.infer("alice/id-bf16", [asked])
    result = client.infer("alice/id-bf16", [asked], parameters={"executor": "native"})
    assert result.as_numpy("y").tolist() == sample.tolist()


@pytest.mark.parametrize("datatype", sorted(set(SAMPLES) - {"FP16", "BYTES"}))
def test_each_datatype_in_json_has_the_same_digest(
    live: World, client: triton.InferenceServerClient, datatype: str
) -> None:
    sample = SAMPLES[datatype]
    name = f"alice/id-{datatype.lower()}"
    wanted = [triton.InferRequestedOutput("y", binary_data=False)]
    result = client.infer(name, [given(sample, binary=False)], outputs=wanted)
    assert equal(result.as_numpy("y"), sample)
    binary = client.infer(name, [given(sample)])
    assert predicate(result).input == predicate(binary).input
    assert predicate(result).output == predicate(binary).output


def test_text_in_json(live: World, client: triton.InferenceServerClient) -> None:
    words = np.array([["é", "two"]], dtype=np.object_)
    wanted = [triton.InferRequestedOutput("y", binary_data=False)]
    result = client.infer("alice/id-bytes", [given(words, binary=False)], outputs=wanted)
    assert result.as_numpy("y").ravel().tolist() == ["é", "two"]


@pytest.mark.parametrize("a_binary", [True, False])
@pytest.mark.parametrize("b_binary", [True, False])
def test_every_mix_of_binary_and_json(live: World, a_binary: bool, b_binary: bool) -> None:
    a, b = floats(1.5, -2.5), np.array([2**53 + 1], dtype=np.int64)

    async def ask(aio: Any) -> Any:
        return await aio.infer(
            "alice/two",
            [given(a, "a", binary=a_binary), given(b, "b", binary=b_binary)],
            outputs=[
                triton_aio.InferRequestedOutput("b_out", binary_data=a_binary),
                triton_aio.InferRequestedOutput("a_out", binary_data=b_binary),
            ],
        )

    result = with_aio(live, ask)
    assert equal(result.as_numpy("a_out"), a)
    assert equal(result.as_numpy("b_out"), b)


@pytest.mark.parametrize("binary", [True, False])
def test_nothing_is_a_tensor_too(
    live: World, client: triton.InferenceServerClient, binary: bool
) -> None:
    empty = np.zeros((0, 4), dtype=np.int32)
    wanted = [triton.InferRequestedOutput("y", binary_data=binary)]
    result = client.infer("alice/id-int32", [given(empty, binary=binary)], outputs=wanted)
    assert result.as_numpy("y").shape == (0, 4)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compression_both_ways(
    live: World, client: triton.InferenceServerClient, coding: str
) -> None:
    codings = {
        "request_compression_algorithm": coding,
        "response_compression_algorithm": coding,
    }
    result = client.infer("alice/add", [given(floats(1))], **codings)
    assert equal(result.as_numpy("y"), floats(2))

    async def ask(aio: Any) -> Any:
        return await aio.infer("alice/add", [given(floats(1))], **codings)

    assert equal(with_aio(live, ask).as_numpy("y"), floats(2))


def test_half_floats_in_json_are_refused_with_the_way_out(
    live: World, client: triton.InferenceServerClient
) -> None:
    wanted = [triton.InferRequestedOutput("y", binary_data=False)]
    with pytest.raises(InferenceServerException, match="binary data"):
        client.infer("alice/id-fp16", [given(SAMPLES["FP16"])], outputs=wanted)


def test_a_nan_in_json_is_refused_and_in_binary_canonical(
    live: World, client: triton.InferenceServerClient
) -> None:
    with pytest.raises(InferenceServerException, match="binary data"):
        client.infer("alice/add", [given(floats(math.nan), binary=False)])
    result = client.infer("alice/sqrt", [given(floats(-1))])
    assert result.as_numpy("y").tobytes() == bytes.fromhex("0000c07f")


def test_ids_and_versions(live: World, client: triton.InferenceServerClient) -> None:
    for sent in ("é7", "7", ""):
        result = client.infer("alice/add", [given(floats(1))], "1.0.0", request_id=sent)
        response = result.get_response()
        assert (response["id"], response["model_version"]) == (sent, "1.0.0")


def test_the_words_of_refusals_arrive(live: World, client: triton.InferenceServerClient) -> None:
    x = given(floats(1))
    for name, named, words in (
        ("alice/nobody", {}, "no model"),
        ("alice/secret", {}, "no model"),
        ("alice/add", {"headers": {"Authorization": "Bearer wrong"}}, "token"),
        ("alice/add", {"model_version": "9"}, "no release"),
        ("alice/add", {"sequence_id": 7}, "sequence_id"),
        ("alice/endless", {"timeout": 200_000}, "deadline"),
    ):
        with pytest.raises(InferenceServerException, match=words):
            client.infer(name, [x], **named)
    wanted = [triton.InferRequestedOutput("y", class_count=2)]
    with pytest.raises(InferenceServerException, match="classification"):
        client.infer("alice/add", [x], outputs=wanted)
    with pytest.raises(InferenceServerException, match="not offered"):
        client.get_inference_statistics()

    async def ask(aio: Any) -> None:
        await aio.infer("alice/nobody", [x])

    with pytest.raises(InferenceServerException, match="no model"):
        with_aio(live, ask)


def test_an_idempotency_key_makes_one_execution(
    live: World, client: triton.InferenceServerClient
) -> None:
    headers = {"Authorization": f"Bearer {live.token}", "Idempotency-Key": "stock"}
    responses = [
        client.infer("alice/add", [given(floats(5))], headers=headers).get_response()
        for _ in range(2)
    ]
    assert responses[0] == responses[1]
    assert Execution.objects.filter(idempotency_key="stock").count() == 1
    with pytest.raises(InferenceServerException, match="another request"):
        client.infer("alice/add", [given(floats(6))], headers=headers)


def test_the_receipt_names_the_tensors_that_the_client_decoded(
    live: World, client: triton.InferenceServerClient
) -> None:
    x = np.arange(64, dtype=np.float32).reshape(1, 64)
    result = client.infer("alice/net", [given(x)])
    outputs = [
        Tensor(name=name, datatype="FP32", shape=value.shape, data=value.tobytes())
        for name in ("y", "c")
        if (value := result.as_numpy(name)) is not None
    ]
    said = predicate(result)
    assert said.output.sha256 == tensor_digest(outputs)
    sent = Tensor(name="x", datatype="FP32", shape=(1, 64), data=x.tobytes())
    assert said.input.sha256 == tensor_digest([sent])
    assert said.model == "alice/net"


def test_many_clients_at_once(live: World) -> None:
    def ask(number: int) -> float:
        with triton.InferenceServerClient(live.address) as client:
            result = client.infer("alice/add", [given(floats(number))])
            return float(result.as_numpy("y")[0])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(16))) == [number + 1 for number in range(16)]
