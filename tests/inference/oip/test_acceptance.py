"""What stock clients need, sentence by sentence; `LINES` says which tests show which sentence.

The sentences that raw HTTP shows better stand in `test_http`, those about one client alone in
`test_stock_client` and `test_kserve`, those that need a real web server in `test_served`.
"""

from __future__ import annotations

import ast
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from django.test import override_settings

from config import settings as site_settings
from inference import quota
from inference.models import Execution
from inference.oip import infer, views
from registry.errors import InvalidInputError, NotAllowedError
from registry.models import Release
from registry.names import OIP_WORDS
from registry.services import models
from tests import builders
from tests.inference.builders import private_key
from tests.inference.oip.stock import (
    SAMPLES,
    both,
    both_refused,
    equal,
    floats,
    given,
    predicate,
    wanted,
    with_aio,
)
from tests.inference.oip.test_http import A, B, binary_call, length, one, refused
from tests.inference.oip.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.stock]
HERE = Path(__file__).parent
# The number of a sentence: the tests that show it, in any module of this folder.
LINES: dict[int, tuple[str, ...]] = {
    1: (
        "test_both_clients_find_the_server_live_and_ready",
        "test_health_metadata_and_index",
        "test_kserve_finds_the_server_live_and_the_model_ready",
    ),
    2: (
        "test_binary_and_json_both_ways_are_the_executors_own_bytes",
        "test_nested_and_flat_data_are_the_same_tensor",
        "test_kserve_binary_and_json_both_ways",
    ),
    3: ("test_every_mix_of_binary_and_json", "test_the_outputs_own_flag_beats_the_requests"),
    4: (
        "test_each_datatype_in_binary",
        "test_each_datatype_in_binary_by_asyncio",
        "test_bf16_is_for_the_native_kind_alone",
        "test_kserve_each_datatype_in_binary",
    ),
    5: (
        "test_half_floats_in_json_are_refused_with_the_way_out",
        "test_half_floats_in_json_are_refused_both_ways_before_anything_runs",
        "test_kserve_half_floats_need_the_flag",
    ),
    6: ("test_each_datatype_in_json_has_the_same_digest", "test_integers_are_exact_both_ways"),
    7: ("test_a_thousand_random_floats_keep_their_bits_and_their_digest",),
    8: (
        "test_scalars_and_tensors_of_nothing",
        "test_kserve_scalars_and_tensors_of_nothing",
    ),
    9: (
        "test_a_nan_in_json_is_refused_and_in_binary_canonical",
        "test_a_nan_is_an_error_in_json_and_canonical_in_binary",
        "test_kserve_null_for_a_number_is_refused",
    ),
    10: ("test_what_numpy_would_swallow_is_refused_with_the_place_of_the_element",),
    11: (
        "test_compression_both_ways",
        "test_asyncio_alone_asks_for_nothing_compressed",
        "test_one_coding_that_is_asked_for_is_used",
    ),
    12: ("test_a_bomb_is_refused_at_once", "test_a_bomb_costs_no_memory"),
    13: (
        "test_a_length_that_is_not_the_jsons_is_refused",
        "test_a_tail_that_is_one_byte_short_is_refused",
        "test_a_raw_binary_request_is_answered_in_binary",
    ),
    14: ("test_a_request_is_answered_whatever_it_calls_itself",),
    15: (
        "test_a_large_image_is_taken",
        "test_a_body_over_the_limit_is_refused_unread",
        "test_a_chunked_body_is_refused",
        "test_a_real_server_refuses_a_chunked_body_too",
    ),
    16: ("test_a_shape_of_a_trillion_elements_is_refused_before_anything_is_made",),
    17: ("test_a_wrong_tensor_is_named", "test_whatever_is_wrong_the_text_names_the_tensor"),
    18: (
        "test_the_text_of_each_refusal_reaches_both_clients",
        "test_every_refusal_has_one_form",
        "test_a_view_that_breaks_answers_in_the_same_form",
        "test_kserve_shows_the_text_of_each_refusal",
    ),
    19: ("test_every_refusal_has_one_form", "test_errors_and_metadata_are_never_compressed"),
    20: (
        "test_the_receipt_names_the_tensors_that_the_client_decoded",
        "test_json_binary_and_gzip_have_the_same_digests",
        "test_a_stranger_checks_the_receipt",
        "test_kserve_reads_the_receipt_of_what_it_decoded",
    ),
    21: (
        "test_ids_come_back_to_both_clients",
        "test_kserve_finds_its_own_id",
        "test_without_a_token_a_private_model_does_not_exist",
    ),
    22: (
        "test_a_version_is_a_release_or_a_revision",
        "test_an_alias_is_a_version_and_the_answer_names_the_release",
    ),
    23: (
        "test_both_forms_of_a_name_tell_the_same",
        "test_the_words_of_the_protocol_are_no_names",
    ),
    24: ("test_a_millisecond_is_a_deadline", "test_the_server_gives_up_before_its_clients"),
    25: ("test_an_idempotency_key_makes_one_execution",),
    26: ("test_what_would_change_the_answer_is_refused",),
    27: ("test_fifty_clients_in_parallel_keep_their_connections",),
    28: (
        "test_no_header_is_long_and_no_answer_is_accepted_without_prefer",
        "test_who_does_not_prefer_it_is_never_answered_202",
    ),
    29: ("test_an_extension_is_listed_if_and_only_if_its_test_exists",),
}
EXTENSIONS = {
    "binary_tensor_data": "test_every_mix_of_binary_and_json",
    "model_repository": "test_both_clients_find_the_server_live_and_ready",
    "parameters": "test_the_receipt_names_the_tensors_that_the_client_decoded",
}


def test_each_sentence_has_its_tests() -> None:
    found = {
        item.name
        for path in HERE.glob("test_*.py")
        for item in ast.parse(path.read_text()).body
        if isinstance(item, ast.FunctionDef)
    }
    assert sorted(LINES) == list(range(1, 30))
    assert {name for names in LINES.values() for name in names} <= found


def test_an_extension_is_listed_if_and_only_if_its_test_exists(live: World) -> None:
    shown = {name for names in LINES.values() for name in names}
    assert set(EXTENSIONS.values()) <= shown
    for metadata in both(live, "get_server_metadata"):
        assert metadata["extensions"] == sorted(EXTENSIONS) == list(views.EXTENSIONS)


# ------------------------------------------------------------------ 1 to 4


def test_both_clients_find_the_server_live_and_ready(live: World) -> None:
    for question in ("is_server_live", "is_server_ready"):
        assert both(live, question) == [True, True]
    for name in ("alice/add", "alice--add"):
        assert both(live, "is_model_ready", name) == [True, True]
        for metadata in both(live, "get_model_metadata", name, "1.0.0"):
            assert (metadata["name"], metadata["versions"]) == (name, ["2.0.0", "1.0.0"])
    for name in ("alice/nobody", "alice/draft"):
        assert both(live, "is_model_ready", name) == [False, False]
    for index in both(live, "get_model_repository_index"):
        assert {"name": "alice/net", "version": "1.0.0", "state": "READY", "reason": ""} in index


@pytest.mark.parametrize("binary", [True, False])
def test_binary_and_json_both_ways_are_the_executors_own_bytes(live: World, binary: bool) -> None:
    x = np.linspace(-3, 3, 64, dtype=np.float32).reshape(1, 64)
    tensors = [given(x, binary=binary)]
    results = both(live, "infer", "alice/net", tensors, outputs=wanted("c", binary=binary))
    for result in results:
        row = Execution.objects.get(pk=result.get_response()["parameters"]["execution_id"])
        assert row.output is not None
        assert bytes(row.output.inline or b"").endswith(b"\n" + result.as_numpy("c").tobytes())


def test_the_outputs_own_flag_beats_the_requests(live: World) -> None:
    outputs = [{"name": "a_out", "parameters": {"binary_data": False}}, {"name": "b_out"}]
    for default, json_names in ((True, ["a_out"]), (False, ["a_out", "b_out"])):
        body, cut = binary_call(A, B, outputs=outputs, parameters={"binary_data_output": default})
        answer = live.infer("alice/two", body, length(cut))
        size = int(answer.headers.get("inference-header-content-length", len(answer.body)))
        result = triton.InferenceServerClient.parse_response_body(answer.body, header_length=size)
        items = result.get_response()["outputs"]
        assert [item["name"] for item in items if "data" in item] == json_names
        assert result.as_numpy("a_out").tobytes() == A
        assert result.as_numpy("b_out").tobytes() == B


@pytest.mark.parametrize("datatype", sorted(SAMPLES))
def test_each_datatype_in_binary_by_asyncio(live: World, datatype: str) -> None:
    sample = SAMPLES[datatype]

    async def ask(aio: Any) -> Any:
        return await aio.infer(f"alice/id-{datatype.lower()}", [given(sample)])

    assert equal(with_aio(live, ask).as_numpy("y"), sample)


# ------------------------------------------------------------------ 5 to 10


def test_half_floats_in_json_are_refused_both_ways_before_anything_runs(live: World) -> None:
    before = Execution.objects.count()
    x = SAMPLES["FP16"]
    both_refused(live, "binary data", "infer", "alice/id-fp16", [given(x, binary=False)])
    outputs = wanted(binary=False)
    both_refused(live, "binary data", "infer", "alice/id-fp16", [given(x)], outputs=outputs)
    assert Execution.objects.count() == before


def test_a_thousand_random_floats_keep_their_bits_and_their_digest(live: World) -> None:
    bits = np.random.default_rng(4).integers(0, 2**32, 1_200, dtype=np.uint32)
    x = bits.view(np.float32)
    x = x[np.isfinite(x)][:1_000].reshape(1, 1_000)
    assert x.size == 1_000
    said = []
    for binary in (True, False):
        tensors, outputs = [given(x, binary=binary)], wanted(binary=binary)
        for result in both(live, "infer", "alice/id-fp32", tensors, outputs=outputs):
            assert result.as_numpy("y").tobytes() == x.tobytes()
            said.append((predicate(result).input, predicate(result).output))
    assert said == [said[0]] * 4


@pytest.mark.parametrize("binary", [True, False])
def test_scalars_and_tensors_of_nothing(live: World, binary: bool) -> None:
    scalar, empty = np.full((), 4, dtype=np.float32), np.zeros((0, 4), dtype=np.int32)
    outputs = wanted(binary=binary)
    tensors = [given(scalar, binary=binary)]
    for result in both(live, "infer", "alice/scalar", tensors, outputs=outputs):
        assert (result.as_numpy("y").shape, float(result.as_numpy("y"))) == ((), 8.0)
    tensors = [given(empty, binary=binary)]
    for result in both(live, "infer", "alice/id-int32", tensors, outputs=outputs):
        assert result.as_numpy("y").shape == (0, 4)


@pytest.mark.parametrize(
    ("datatype", "text", "place"),
    [
        ("FP32", "[1, null]", "Element 1"),
        ("INT64", "[1.5, 1]", "Element 0"),
        ("INT64", "[1, 2.0]", "Element 1"),
        ("FP32", "[1, true]", "Element 1"),
        ("INT8", "[false, 1]", "Element 0"),
        ("FP32", '[1, "1.5"]', "Element 1"),
        ("BOOL", '[true, "false"]', "Element 1"),
        ("BOOL", "[true, 1]", "Element 1"),
        ("FP32", "[0, 1e39]", "Element 1"),
        ("FP64", "[1e400, 0]", "Element 0"),
        ("UINT8", "[1, 256]", "Element 1"),
        ("UINT64", "[1, -1]", "Element 1"),
        ("UINT64", "[18446744073709551616, 1]", "Element 0"),
        ("BYTES", '["a", 1]', "Element 1"),
        ("FP32", "[[1, 2], [3]]", "array 0"),
    ],
)
def test_what_numpy_would_swallow_is_refused_with_the_place_of_the_element(
    live: World, datatype: str, text: str, place: str
) -> None:
    tensor = f'{{"name": "x", "datatype": "{datatype}", "shape": [1, 2], "data": {text}}}'
    body = f'{{"inputs": [{tensor}]}}'.encode()
    words = refused(live.infer(f"alice/id-{datatype.lower()}", body), 400, "bad_tensor")
    assert place in words


# ------------------------------------------------------------------ 11, 16, 17


def test_asyncio_alone_asks_for_nothing_compressed(live: World) -> None:
    async def ask(aio: Any) -> Any:
        body, size = aio.generate_request_body([given(floats(1))])
        answer = await aio._post("v2/models/alice/add/infer", body, length(size), None)
        names = answer.request_info.headers["Accept-Encoding"]
        return names, dict(answer.headers), await answer.read()

    names, headers, body = with_aio(live, ask)
    assert "," in names, "it names several codings without being asked"
    assert "Content-Encoding" not in headers
    assert body.startswith(b'{"model_name"')


def test_a_shape_of_a_trillion_elements_is_refused_before_anything_is_made(live: World) -> None:
    tensor = {"name": "x", "datatype": "FP32", "shape": [2**20, 2**20]}
    for how in ({"data": [1]}, {"parameters": {"binary_data_size": 0}}):
        body = {"inputs": [{**tensor, **how}]}
        words = refused(live.infer("alice/id-fp32", body), 400, "bad_tensor")
        assert "'x'" in words


@pytest.mark.parametrize(
    ("inputs", "outputs", "words"),
    [
        ([("c", "FP32", [1])], None, "'c'"),
        ([("a", "FP32", [1]), ("b", "INT64", [1]), ("z", "FP32", [1])], None, "'z'"),
        ([("a", "FP32", [1])], None, "'b' is missing"),
        ([("a", "FP64", [1]), ("b", "INT64", [1])], None, "'a' is FP32"),
        ([("a", "FP32", [1, 1]), ("b", "INT64", [1])], None, "'a' has the shape"),
        ([("a", "FP32", [1]), ("a", "FP32", [1]), ("b", "INT64", [1])], None, "'a' stands twice"),
        ([("a", "FP32", [1]), ("b", "INT64", [1])], ["a_out", "a_out"], "'a_out' is requested"),
        ([("a", "FP32", [1]), ("b", "INT64", [1])], ["z"], "no output 'z'"),
    ],
)
def test_whatever_is_wrong_the_text_names_the_tensor(
    live: World, inputs: Any, outputs: list[str] | None, words: str
) -> None:
    numpy = {"FP32": np.float32, "FP64": np.float64, "INT64": np.int64}
    tensors = [given(np.ones(shape, numpy[kind]), name) for name, kind, shape in inputs]
    asked = None if outputs is None else [triton.InferRequestedOutput(name) for name in outputs]
    both_refused(live, words, "infer", "alice/two", tensors, outputs=asked)


# ------------------------------------------------------------------ 18 to 22


def test_the_text_of_each_refusal_reaches_both_clients(
    live: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = [given(floats(1))]
    wrong = {"Authorization": "Bearer wrong"}
    both_refused(live, r"\[401\].*token", "infer", "alice/add", x, headers=wrong)
    both_refused(live, r"\[404\].*no model", "infer", "alice/nobody", x)
    both_refused(live, r"\[405\].*only POST", "get_model_metadata", "alice/add/infer")
    with monkeypatch.context() as patched:
        patched.setattr(infer, "recent_target", _not_yours)
        both_refused(live, r"\[403\].*not yours", "infer", "alice/add", x)
    with override_settings(INFER_MAX_BYTES=64):
        both_refused(live, r"\[413\].*at most 64", "infer", "alice/add", x)
    with override_settings(EXECUTOR_SOCKET=live.settings["BLOBS_DIR"] / "nobody.sock"):
        both_refused(live, r"\[503\].*executor", "infer", "alice/add", x)
    monkeypatch.setattr(quota, "_counts", quota._Counts())
    with override_settings(INFER_ANONYMOUS_RATE=1, CELERY_BROKER_URL="memory://"):
        assert live.infer("alice/add", one(1)).status == 200
        both_refused(live, r"\[429\].*in a minute", "infer", "alice/add", x)


def _not_yours(*_: object) -> None:
    raise NotAllowedError("This is not yours.")


def test_json_binary_and_gzip_have_the_same_digests(live: World) -> None:
    x = floats(0.1, -0.0).reshape(1, 2)
    said = [
        predicate(result)
        for binary, named in (
            (True, {}),
            (False, {}),
            (True, {"request_compression_algorithm": "gzip"}),
            (False, {"response_compression_algorithm": "deflate"}),
        )
        for result in both(live, "infer", "alice/id-fp32", [given(x, binary=binary)], **named)
    ]
    assert len(said) == 8
    assert {(one.input.sha256, one.output.sha256) for one in said} == {
        (said[0].input.sha256, said[0].output.sha256)
    }


def test_ids_come_back_to_both_clients(live: World) -> None:
    for sent in ("é7", "7", ""):
        for result in both(live, "infer", "alice/add", [given(floats(1))], request_id=sent):
            assert result.get_response()["id"] == sent


def test_without_a_token_a_private_model_does_not_exist(live: World) -> None:
    x = [given(floats(1))]
    assert all(both(live, "infer", "alice/add", x))
    both_refused(live, r"\[404\]", "infer", "alice/secret", x)
    mine = {"Authorization": f"Bearer {live.token}"}
    for result in both(live, "infer", "alice/secret", x, headers=mine):
        assert equal(result.as_numpy("y"), floats(2))


def test_an_alias_is_a_version_and_the_answer_names_the_release(live: World) -> None:
    def name_it() -> None:
        release = Release.objects.get(model__name="add", version="1.0.0")
        builders.move_alias(live.alice, release, "stable", private_key("alice"))

    live.commit(name_it)
    versions = {"stable": "1.0.0", "latest": "2.0.0", "": "2.0.0", "1.0.0": "1.0.0"}
    for asked, version in versions.items():
        for result in both(live, "infer", "alice/add", [given(floats(1))], asked):
            assert result.get_response()["model_version"] == version
    both_refused(live, r"\[404\]", "infer", "alice/add", [given(floats(1))], "unstable")


# ------------------------------------------------------------------ 23 to 28


@pytest.mark.parametrize("word", sorted(OIP_WORDS))
def test_the_words_of_the_protocol_are_no_names(live: World, word: str) -> None:
    with pytest.raises(InvalidInputError, match="word of the protocol"):
        models.create(live.alice.user, name=word)


def test_a_millisecond_is_a_deadline(live: World) -> None:
    tensors = [given(floats(1))]
    both_refused(live, r"\[504\]", "infer", "alice/endless", tensors, timeout=1_000)


def test_the_server_gives_up_before_its_clients() -> None:
    assert site_settings.INFER_DEADLINE_S + site_settings.INFER_QUEUE_S < 60


def test_what_would_change_the_answer_is_refused(live: World) -> None:
    x = given(floats(1))
    ranked = [triton.InferRequestedOutput("y", class_count=2)]
    both_refused(live, "classification", "infer", "alice/add", [x], outputs=ranked)
    both_refused(live, "sequence_id", "infer", "alice/add", [x], sequence_id=7)
    both_refused(live, "sequence_id", "infer", "alice/add", [x], sequence_id="s")
    shared = triton.InferInput("x", [1], "FP32")
    shared.set_shared_memory("region", 4)
    both_refused(live, "shared memory", "infer", "alice/add", [shared])
    output = triton.InferRequestedOutput("y")
    output.set_shared_memory("region", 4)
    both_refused(live, "shared memory", "infer", "alice/add", [x], outputs=[output])


def test_no_header_is_long_and_no_answer_is_accepted_without_prefer(live: World) -> None:
    answers = [
        live.infer("alice/add", one(1)),
        live.infer("alice/net", struct.pack("<64f", *range(64)), length(0)),
        live.infer("alice/sqrt", one(-1.0)),
        live.infer("alice/nobody", one(1)),
        live.infer(f"alice/{'n' * 6_000}", one(1)),
        live.call("GET", f"/v2/{'n' * 6_000}"),
        live.call("POST", "/v2/repository/index"),
        live.call("GET", "/v2/models/alice/net"),
    ]
    assert not {201, 202} & {answer.status for answer in answers}
    longest = max(len(text) for answer in answers for text in answer.headers.values())
    assert longest < 4_000
