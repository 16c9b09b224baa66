"""`/v2` over raw HTTP: lengths, codings, methods, errors; every answer is one a client can read."""

from __future__ import annotations

import gzip
import json
import struct
import time
import uuid
import zlib
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from assay.dsse import load_public_key, parse_compact, verify_envelope
from assay.policy import parse_trusted_root
from assay.receipt import execution_of
from assay.statements import EXECUTION, parse_statement
from assay.tensors import Tensor, tensor_digest
from assay.verify import verify_bundle
from inference.models import Execution
from inference.oip import infer, views
from ledger import services as ledger
from registry.models import ApiToken
from tests.inference.oip.test_parse import make_bomb
from tests.inference.oip.world import Answer, World
from tests.ledger.builders import sequence

pytestmark = pytest.mark.django_db

X = {"name": "x", "datatype": "FP32", "shape": [1], "data": [2.5]}


def one(*values: float) -> dict[str, Any]:
    return {"inputs": [{**X, "shape": [len(values)], "data": list(values)}]}


def refused(answer: Answer, status: int, code: str | None = None) -> str:
    """Check the form of an error; return its words."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/json"
    assert "content-encoding" not in answer.headers
    assert int(answer.headers["content-length"]) == len(answer.body)
    body = answer.json()
    assert set(body) == {"error", "code"}
    assert code is None or body["code"] == code
    assert isinstance(body["error"], str)
    return str(body["error"])


# ------------------------------------------------------------------ what answers


def test_the_server_lists_what_it_can_do(live: World) -> None:
    for path in ("/v2", "/v2/"):
        body = live.call("GET", path).json()
        assert (body["name"], body["extensions"]) == ("assay", list(views.EXTENSIONS))
    assert live.call("GET", "/v2/health/live").json() == {"live": True}
    assert live.call("GET", "/v2/health/ready").json() == {"ready": True, "live": True}


def test_released_models_are_listed_and_no_others(live: World) -> None:
    names = live.call("GET", "/v2/models").json()["models"]
    assert "alice/add" in names
    assert not {"alice/draft", "alice/secret"} & set(names)
    index = live.call("POST", "/v2/repository/index").json()
    entry = {"name": "alice/add", "version": "2.0.0", "state": "READY", "reason": ""}
    assert entry in index
    assert len(index) == len(names)
    mine = {"Authorization": f"Bearer {live.token}"}
    assert "alice/secret" in live.call("GET", "/v2/models", headers=mine).json()["models"]


@pytest.mark.parametrize("name", ["alice/net", "alice--net", "Alice/Net"])
def test_both_forms_of_a_name_tell_the_same(live: World, name: str) -> None:
    body = live.call("GET", f"/v2/models/{name}").json()
    assert body["name"] == name
    assert body["versions"] == ["1.0.0"]
    assert body["platform"] == "onnx_onnxv1"
    assert body["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 64]}]
    assert [item["name"] for item in body["outputs"]] == ["y", "c"]
    assert all(isinstance(value, str) for value in body["properties"].values())
    assert live.call("GET", f"/v2/models/{name}/ready").json() == {"name": name, "ready": True}


def test_a_version_is_a_release_or_a_revision(live: World) -> None:
    revisions = {}
    for version in ("1.0.0", "2.0.0"):
        body = live.call("GET", f"/v2/models/alice/add/versions/{version}").json()
        revisions[version] = body["properties"]["revision"]
    assert body["versions"] == ["2.0.0", "1.0.0"]
    for asked, version in (
        ("", "2.0.0"),
        ("/versions/1.0.0", "1.0.0"),
        (f"/versions/{revisions['1.0.0']}", "1.0.0"),
    ):
        answer = live.infer(f"alice/add{asked}", one(1)).json()
        assert answer["model_version"] == version
    refused(live.infer("alice/add/versions/9", one(1)), 404, "unknown_revision")


@pytest.mark.parametrize(
    ("headers", "path"),
    [
        ({}, "alice/add"),
        ({}, "alice--add"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "alice/add"),
        ({"Content-Type": "application/json; charset=utf-8"}, "alice/add"),
        ({"Content-Type": "text/plain"}, "alice/add"),
    ],
)
def test_a_request_is_answered_whatever_it_calls_itself(
    live: World, headers: dict[str, str], path: str
) -> None:
    answer = live.infer(path, {**one(2.5), "id": "é-1"}, headers)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    body = answer.json()
    assert body["model_name"] == path
    assert body["id"] == "é-1"
    assert body["outputs"] == [{"name": "y", "datatype": "FP32", "shape": [1], "data": [3.5]}]
    assert all(len(value) < 4096 for value in answer.headers.values())


def test_nested_and_flat_data_are_the_same_tensor(live: World) -> None:
    rows = [[float(i + j) for j in range(64)] for i in range(2)]
    flat = [value for row in rows for value in row]
    answers = [
        live.infer(
            "alice/net",
            {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 64], "data": data}]},
        ).json()
        for data in (rows, flat)
    ]
    assert answers[0]["outputs"] == answers[1]["outputs"]
    first, second = (input_of(answer) for answer in answers)
    assert first == second


def input_of(answer: dict[str, Any]) -> str:
    envelope = parse_compact(answer["parameters"]["receipt"])
    return execution_of(parse_statement(envelope.payload)).input.sha256


def test_a_scalar_and_an_empty_tensor_run(live: World) -> None:
    scalar = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [], "data": [4]}]}
    assert live.infer("alice/scalar", scalar).json()["outputs"][0]["data"] == [8.0]
    empty = {"inputs": [{"name": "x", "datatype": "INT32", "shape": [0, 4], "data": []}]}
    (output,) = live.infer("alice/id-int32", empty).json()["outputs"]
    assert (output["shape"], output["data"]) == ([0, 4], [])


# ------------------------------------------------------------------ binary


def binary_call(*data: bytes, **fields: Any) -> tuple[bytes, int]:
    """Return a body for `alice/two`: a, FP32, and b, INT64, each behind the JSON if it is bytes."""
    inputs = []
    for name, datatype, size, item in zip("ab", ("FP32", "INT64"), (4, 8), data, strict=True):
        parameters = {"binary_data_size": len(item)}
        shape = [len(item) // size]
        inputs.append(
            {"name": name, "datatype": datatype, "shape": shape, "parameters": parameters}
        )
    text = json.dumps({"inputs": inputs, **fields}).encode()
    return b"".join((text, *data)), len(text)


def length(value: object) -> dict[str, str]:
    return {"Inference-Header-Content-Length": str(value)}


A, B = struct.pack("<2f", 1.5, -2.0), struct.pack("<q", -(2**63))


def test_binary_in_and_binary_out(live: World) -> None:
    body, cut = binary_call(A, B, parameters={"binary_data_output": True})
    answer = live.infer("alice/two", body, length(cut))
    assert answer.headers["content-type"] == "application/octet-stream"
    size = int(answer.headers["inference-header-content-length"])
    head = json.loads(answer.body[:size])
    assert [item["parameters"] for item in head["outputs"]] == [
        {"binary_data_size": 8},
        {"binary_data_size": 8},
    ]
    assert answer.body[size:] == A + B


def test_an_output_may_choose_for_itself_and_the_order_is_the_callers(live: World) -> None:
    wanted = [{"name": "b_out", "parameters": {"binary_data": False}}, {"name": "a_out"}]
    body, cut = binary_call(A, B, outputs=wanted, parameters={"binary_data_output": True})
    answer = live.infer("alice/two", body, length(cut))
    size = int(answer.headers["inference-header-content-length"])
    first, second = json.loads(answer.body[:size])["outputs"]
    assert (first["name"], first["data"]) == ("b_out", [-(2**63)])
    assert (second["name"], answer.body[size:]) == ("a_out", A)


@pytest.mark.parametrize(
    ("cut", "tail", "words"),
    [
        (None, b"", "not JSON"),
        (-1, b"", "decimal number"),
        (10**9, b"", "decimal number"),
        (0, b"", "raw binary"),
        (0.5, b"", "decimal number"),
        ("same", b"x", "belong to no input"),
    ],
)
def test_a_length_that_is_not_the_jsons_is_refused(
    live: World, cut: Any, tail: bytes, words: str
) -> None:
    body, real = binary_call(A, B)
    headers = {} if cut is None else length(real if cut == "same" else cut)
    assert words in refused(live.infer("alice/two", body + tail, headers), 400)


def test_a_tail_that_is_one_byte_short_is_refused(live: World) -> None:
    body, cut = binary_call(A, B)
    assert "'b'" in refused(live.infer("alice/two", body[:-1], length(cut)), 400, "bad_tensor")


def test_a_raw_binary_request_is_answered_in_binary(live: World) -> None:
    answer = live.infer("alice/sqrt", struct.pack("<2f", 4.0, 9.0), length(0))
    size = int(answer.headers["inference-header-content-length"])
    assert answer.body[size:] == struct.pack("<2f", 2.0, 3.0)


def test_integers_are_exact_both_ways(live: World) -> None:
    for datatype, values in (
        ("INT64", [-(2**63), 2**63 - 1]),
        ("UINT64", [0, 2**64 - 1]),
        ("UINT8", [0, 255]),
    ):
        given = {"name": "x", "datatype": datatype, "shape": [1, 2], "data": values}
        answer = live.infer(f"alice/id-{datatype.lower()}", {"inputs": [given]}).json()
        assert answer["outputs"][0]["data"] == values


def test_a_nan_is_an_error_in_json_and_canonical_in_binary(live: World) -> None:
    answer = live.infer("alice/sqrt", one(-1.0))
    assert "binary data" in refused(answer, 400, "bad_tensor")
    row = Execution.objects.get(pk=answer.headers["assay-execution"])
    assert row.state == "succeeded"
    body = {**one(-1.0), "parameters": {"binary_data_output": True}}
    answer = live.infer("alice/sqrt", body)
    assert answer.body.endswith(bytes.fromhex("0000c07f"))


# ------------------------------------------------------------------ codings


@pytest.mark.parametrize(
    ("coding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_compressed_requests_give_the_same_digest(live: World, coding: str, compress: Any) -> None:
    body, cut = binary_call(A, B)
    plain = live.infer("alice/two", body, length(cut)).json()
    headers = {**length(cut), "Content-Encoding": coding}
    packed = live.infer("alice/two", compress(body), headers).json()
    assert input_of(packed) == input_of(plain)


@pytest.mark.parametrize(
    ("coding", "expand"), [("gzip", gzip.decompress), ("deflate", zlib.decompress)]
)
def test_one_coding_that_is_asked_for_is_used(live: World, coding: str, expand: Any) -> None:
    body = {**one(1.0), "parameters": {"binary_data_output": True}}
    answer = live.infer("alice/add", body, {"Accept-Encoding": coding})
    assert answer.headers["content-encoding"] == coding
    whole = expand(answer.body)
    size = int(answer.headers["inference-header-content-length"])
    assert json.loads(whole[:size])["outputs"][0]["name"] == "y"
    assert whole[size:] == struct.pack("<f", 2.0)


@pytest.mark.parametrize("accept", ["gzip, deflate, br", "gzip, deflate", "br", "*", "identity"])
def test_who_names_several_codings_gets_none(live: World, accept: str) -> None:
    answer = live.infer("alice/add", one(1.0), {"Accept-Encoding": accept})
    assert "content-encoding" not in answer.headers
    assert answer.json()["outputs"][0]["data"] == [2.0]


def test_errors_and_metadata_are_never_compressed(live: World) -> None:
    headers = {"Accept-Encoding": "gzip"}
    refused(live.infer("alice/add", {"inputs": []}, headers), 400)
    assert "content-encoding" not in live.call("GET", "/v2", headers=headers).headers


def test_a_bomb_is_refused_at_once(live: World) -> None:
    bomb = make_bomb(2**30)
    begun = time.monotonic()
    answer = live.infer("alice/add", bomb, {"Content-Encoding": "deflate"})
    refused(answer, 413, "body_too_large")
    assert time.monotonic() - begun < 5


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/v2/models/alice/nobody/infer", 404, "unknown_model"),
        ("POST", "/v2/models/nobody/infer", 404, "unknown_model"),
        ("POST", "/v2/models/alice/secret/infer", 404, "unknown_model"),
        ("POST", "/v2/models/alice/draft/infer", 409, "not_released"),
        ("GET", "/v2/models/alice/draft/ready", 503, "not_released"),
        ("GET", "/v2/models/alice/nobody/ready", 404, "unknown_model"),
        ("GET", "/v2/models/alice/add/versions/9/ready", 404, "unknown_revision"),
        ("GET", "/v2/models/alice/nobody", 404, "unknown_model"),
        ("GET", "/v2/nothing/here", 404, "not_found"),
        ("GET", "/v2/x", 404, "not_found"),
        ("GET", "/v2/models/alice/add/infer/", 404, "not_found"),
        ("GET", "/v2/models/alice/add/infer", 405, "method_not_allowed"),
        ("POST", "/v2/health/live", 405, "method_not_allowed"),
        ("PUT", "/v2/models/alice/add", 405, "method_not_allowed"),
        ("GET", "/v2/models/alice/add/config", 501, "not_offered"),
        ("GET", "/v2/models/alice/add/versions/1.0.0/stats", 501, "not_offered"),
        ("POST", "/v2/repository/models/alice/add/load", 501, "not_offered"),
        ("GET", "/v2/systemsharedmemory/status", 501, "not_offered"),
        ("GET", "/v2/trace/setting", 501, "not_offered"),
    ],
)
def test_every_refusal_has_one_form(
    live: World, method: str, path: str, status: int, code: str
) -> None:
    answer = live.call(method, path, b"{}" if method == "POST" else b"")
    refused(answer, status, code)
    assert ("allow" in answer.headers) == (status == 405)


def test_a_token_that_is_sent_must_be_valid(live: World) -> None:
    def expire() -> str:
        _, token = ApiToken.objects.create(live.alice.user, name="old")
        ApiToken.objects.filter(name="old").update(expiry=timezone.now())
        return str(token)

    expired = live.commit(expire)
    for token in (expired, "assay_wrong", ""):
        answer = live.infer("alice/add", one(1), {"Authorization": f"Bearer {token}"})
        refused(answer, 401, "not_authenticated")
        assert answer.headers["www-authenticate"] == "Bearer"
    answer = live.infer("alice/add", one(1), {"Authorization": f"Bearer {live.token}"})
    assert Execution.objects.get(pk=answer.headers["assay-execution"]).caller == live.alice.user
    secret = live.infer("alice/secret", one(1), {"Authorization": f"Bearer {live.token}"})
    assert secret.status == 200
    assert live.infer("alice/add", one(1), {"Authorization": "Basic abc"}).status == 200


def test_a_chunked_body_is_refused(live: World) -> None:
    headers = {"Transfer-Encoding": "chunked"}
    refused(live.infer("alice/add", b"0\r\n\r\n", headers), 411, "length_required")


def test_a_body_over_the_limit_is_refused_unread(live: World) -> None:
    answer = live.infer("alice/add", b"{}", {"Content-Length": str(64 * 2**20 + 1)})
    refused(answer, 413, "body_too_large")
    refused(live.infer("alice/add", b"{}", {"Content-Length": "-2"}), 400)


def test_other_codings_are_refused(live: World) -> None:
    answer = live.infer("alice/add", one(1), {"Content-Encoding": "br"})
    refused(answer, 415, "unsupported_encoding")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "z"}, "'z'"),
        ({"datatype": "FP64"}, "FP64"),
        ({"shape": [1, 1]}, "[1, 1]"),
        ({"shape": [2**40], "data": [1]}, "[1]"),
        ({"data": [None]}, "binary data"),
        ({"data": ["1"]}, "Element 0"),
        ({"data": [True]}, "Element 0"),
        ({"data": [1, 2]}, "2 elements"),
        ({"data": 1}, "'x'"),
    ],
)
def test_a_wrong_tensor_is_named(live: World, change: dict[str, Any], words: str) -> None:
    answer = live.infer("alice/add", {"inputs": [{**X, **change}]})
    assert words in refused(answer, 400, "bad_tensor")


def test_words_that_are_no_numbers_are_refused(live: World) -> None:
    body = json.dumps(one(1)).replace("[1]}", "[NaN]}").encode()
    assert "binary data" in refused(live.infer("alice/add", body), 400, "bad_request")


@pytest.mark.parametrize(
    "outputs", [[{"name": "nothing"}], [{"name": "y"}, {"name": "y"}], [{"name": ["y"]}]]
)
def test_outputs_are_known_and_asked_for_once(live: World, outputs: Any) -> None:
    refused(live.infer("alice/add", {**one(1), "outputs": outputs}), 400)


def test_what_the_model_refuses_is_told(live: World) -> None:
    refused(live.infer("alice/pairs", one(1, 2, 3)), 400, "model_failed")


def test_a_slow_model_meets_the_callers_deadline(live: World) -> None:
    begun = time.monotonic()
    answer = live.infer("alice/endless", {**one(1), "parameters": {"timeout": 200_000}})
    refused(answer, 504, "deadline")
    assert time.monotonic() - begun < 10


def test_a_view_that_breaks_answers_in_the_same_form(
    live: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise MemoryError("0x7f00 /secret/path")

    monkeypatch.setattr(infer, "recent_target", broken)
    words = refused(live.infer("alice/add", one(1)), 500, "internal")
    assert "secret" not in words


def test_a_database_that_is_away_is_503_in_the_same_form(
    live: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("connection refused at /secret/socket")

    monkeypatch.setattr(infer, "recent_target", away)
    answer = live.infer("alice/add", one(1))
    assert "secret" not in refused(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "5"


def test_without_an_executor_the_site_says_when_to_come_back(live: World, settings: Any) -> None:
    settings.EXECUTOR_SOCKET = live.settings["BLOBS_DIR"] / "nobody.sock"
    for answer in (
        live.infer("alice/add", one(1)),
        live.call("GET", "/v2/health/ready"),
        live.call("GET", "/v2/models/alice/add/ready"),
    ):
        refused(answer, 503, "executor_away")
        assert answer.headers["retry-after"] == "2"


def test_idempotency_over_http(live: World) -> None:
    headers = {"Authorization": f"Bearer {live.token}", "Idempotency-Key": str(uuid.uuid4())}
    first, second = (live.infer("alice/add", one(7), headers) for _ in range(2))
    assert first.body == second.body
    refused(live.infer("alice/add", one(8), headers), 422, "idempotency_mismatch")


def test_a_large_image_is_taken(live: World) -> None:
    count = 3 * 1024 * 1024
    parameters = {"binary_data_size": 4 * count}
    given = {"name": "x", "datatype": "FP32", "shape": [1, count], "parameters": parameters}
    head = json.dumps({"inputs": [given], "parameters": {"binary_data_output": True}}).encode()
    data = struct.pack("<f", 0.25) * count
    answer = live.infer("alice/id-fp32", head + data, length(len(head)))
    assert answer.status == 200
    assert answer.body.endswith(data)


# ------------------------------------------------------------------ the receipt


def test_a_stranger_checks_the_receipt(live: World) -> None:
    answer = live.infer("alice/add", one(2.5))
    parameters = answer.json()["parameters"]
    assert parameters["executor"] == live.executor_key
    address = f"/executions/{parameters['execution_id']}/receipt"
    assert parameters["receipt_url"].endswith(address)
    assert answer.headers["link"] == f'<{address}>; rel="receipt"'
    assert answer.headers["assay-execution"] == parameters["execution_id"]
    envelope = parse_compact(parameters["receipt"])
    statement = parse_statement(envelope.payload)
    output = Tensor(name="y", datatype="FP32", shape=(1,), data=struct.pack("<f", 3.5))
    assert statement.digests == (tensor_digest([output]),)
    row = Execution.objects.get(pk=parameters["execution_id"])
    assert row.entry is not None
    key = load_public_key(bytes(row.entry.public_key))
    verify_envelope(envelope, key)
    early = live.call("GET", address)
    assert (early.status, early.json()["error"]["code"]) == (404, "not_included_yet")
    live.commit(sequence)
    bundle = live.call("GET", f"{address}?wait=5")
    assert bundle.headers["content-type"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    file = live.call("GET", f"/executions/{row.pk}/output.tensors")
    verify_bundle(
        bundle.body,
        key=key,
        trusted_root=parse_trusted_root(ledger.trusted_root()),
        predicate_type=EXECUTION,
        policy=None,
        file_sha256=str(row.output_id),
    )
    assert file.headers["etag"] == f'"{row.output_id}"'
    cached = {"If-None-Match": file.headers["etag"]}
    assert live.call("GET", f"/executions/{row.pk}/output.tensors", headers=cached).status == 304
