"""KServe's client, unmodified, as a process in an environment of its own."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pytest
from django.test import override_settings

from assay.tensors import Tensor, tensor_digest
from inference import quota
from inference.models import Execution
from inference.oip import infer
from registry.errors import NotAllowedError
from tests.inference.oip.stock import SAMPLES, predicate_of
from tests.inference.oip.world import World
from tests.interop.kserve.stranger import KServe

pytestmark = [pytest.mark.django_db, pytest.mark.stock]
BINARY = {"binary_data_output": True}


def tensor(value: Any, datatype: str, name: str = "x", *, binary: bool = True) -> dict[str, Any]:
    """Return an input as the driver takes it."""
    fields = {"name": name, "datatype": datatype, "shape": list(value.shape), "binary": binary}
    if datatype == "BYTES":
        return {**fields, "texts": [item.decode() for item in value.ravel()]}
    return {**fields, "hex": value.tobytes().hex()}


def floats(*values: float, binary: bool = True) -> dict[str, Any]:
    return tensor(np.array(values, dtype=np.float32), "FP32", binary=binary)


def test_kserve_finds_the_server_live_and_the_model_ready(live: World, kserve: KServe) -> None:
    assert kserve.ask("live") == kserve.ask("ready") == {"value": True}
    for name in ("alice/add", "alice--add"):
        assert kserve.ask("model_ready", model=name) == {"value": True}
    for name in ("alice/nobody", "alice/draft"):
        assert kserve.ask("model_ready", model=name) == {"value": False}


@pytest.mark.parametrize("binary", [True, False])
def test_kserve_binary_and_json_both_ways(live: World, kserve: KServe, binary: bool) -> None:
    parameters = {"binary_data_output": binary}
    x = np.linspace(-3, 3, 64, dtype=np.float32).reshape(1, 64)
    found = kserve.infer(
        "alice/net",
        tensor(x, "FP32", binary=binary),
        parameters=parameters,
        outputs=[{"name": "c", "parameters": {"binary_data": binary}}],
    )
    row = Execution.objects.get(pk=found["parameters"]["execution_id"])
    (output,) = found["outputs"]
    assert row.output is not None
    assert bytes(row.output.inline or b"").endswith(b"\n" + bytes.fromhex(output["hex"]))


@pytest.mark.parametrize("datatype", sorted(SAMPLES))
def test_kserve_each_datatype_in_binary(live: World, kserve: KServe, datatype: str) -> None:
    sent = tensor(SAMPLES[datatype], datatype)
    found = kserve.infer(f"alice/id-{datatype.lower()}", sent, parameters=BINARY)
    (output,) = found["outputs"]
    key = "texts" if datatype == "BYTES" else "hex"
    assert (output["datatype"], output["shape"]) == (datatype, [1, 2])
    assert output[key] == sent[key]


def test_kserve_half_floats_need_the_flag(live: World, kserve: KServe) -> None:
    sent = tensor(SAMPLES["FP16"], "FP16")
    assert "binary data" in kserve.refused("alice/id-fp16", sent)
    for named in (
        {"parameters": BINARY},
        {"outputs": [{"name": "y", "parameters": {"binary_data": True}}]},
    ):
        (output,) = kserve.infer("alice/id-fp16", sent, **named)["outputs"]
        assert output["hex"] == sent["hex"]


@pytest.mark.parametrize("binary", [True, False])
def test_kserve_scalars_and_tensors_of_nothing(live: World, kserve: KServe, binary: bool) -> None:
    parameters = {"binary_data_output": binary}
    scalar = tensor(np.float32(4).reshape(()), "FP32", binary=binary)
    (output,) = kserve.infer("alice/scalar", scalar, parameters=parameters)["outputs"]
    assert (output["shape"], output["hex"]) == ([], np.float32(8).tobytes().hex())
    # With `binary` this is "binary_data_size": 0 beside "data": null, as application/json.
    empty = tensor(np.zeros((0, 4), dtype=np.int32), "INT32", binary=binary)
    (output,) = kserve.infer("alice/id-int32", empty, parameters=parameters)["outputs"]
    assert (output["shape"], output["hex"]) == ([0, 4], "")


def test_kserve_null_for_a_number_is_refused(live: World, kserve: KServe) -> None:
    words = kserve.refused("alice/add", floats(float("nan"), binary=False))
    assert "Element 0" in words
    assert "binary data" in words
    assert "binary data" in kserve.refused("alice/sqrt", floats(-1))
    (output,) = kserve.infer("alice/sqrt", floats(-1), parameters=BINARY)["outputs"]
    assert output["hex"] == "0000c07f"


def test_kserve_shows_the_text_of_each_refusal(
    live: World, kserve: KServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shows(status: int, words: str, model: str = "alice/add", **named: Any) -> None:
        text = kserve.refused(model, floats(1), **named)
        assert words in text
        assert f"'{status} " in text

    shows(401, "token", headers={"Authorization": "Bearer wrong"})
    shows(404, "no model", "alice/nobody")
    shows(405, "only GET", "alice/add/ready?")
    with monkeypatch.context() as patched:
        patched.setattr(infer, "recent_target", _not_yours)
        shows(403, "not yours")
    with override_settings(INFER_MAX_BYTES=64):
        shows(413, "at most 64")
    with override_settings(EXECUTOR_SOCKET=live.settings["BLOBS_DIR"] / "nobody.sock"):
        shows(503, "executor")
    monkeypatch.setattr(quota, "_counts", quota._Counts())
    with override_settings(INFER_ANONYMOUS_RATE=1, CELERY_BROKER_URL="memory://"):
        kserve.infer("alice/add", floats(1))
        shows(429, "in a minute")


def _not_yours(*_: object) -> None:
    raise NotAllowedError("This is not yours.")


def test_kserve_reads_the_receipt_of_what_it_decoded(live: World, kserve: KServe) -> None:
    x = np.array([0.1], dtype=np.float32)
    for binary in (True, False):
        found = kserve.infer(
            "alice/add",
            tensor(x, "FP32", binary=binary),
            parameters={"binary_data_output": binary},
        )
        (output,) = found["outputs"]
        data = bytes.fromhex(output["hex"])
        said = predicate_of(found["parameters"]["receipt"])
        y = Tensor(name="y", datatype="FP32", shape=(1,), data=data)
        assert said.output.sha256 == tensor_digest([y])
        sent = Tensor(name="x", datatype="FP32", shape=(1,), data=x.tobytes())
        assert said.input.sha256 == tensor_digest([sent])


def test_kserve_finds_its_own_id(live: World, kserve: KServe) -> None:
    assert kserve.infer("alice/add", floats(1), id="é-7")["id"] == "é-7"
    first, second = (kserve.infer("alice/add", floats(1)) for _ in range(2))
    assert uuid.UUID(first["id"]) != uuid.UUID(second["id"])
    ids = {found["parameters"]["execution_id"] for found in (first, second)}
    assert len(ids) == 2, "a random id is no idempotency key"
    assert first["model_name"] == "alice/add"
