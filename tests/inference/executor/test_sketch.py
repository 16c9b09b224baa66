"""The skeleton of a graph: every edge, none of the weights, and limits that name themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, helper

from inference.client import ExecutorClient, ExecutorError
from inference.executor.inspect import constants as c
from inference.executor.inspect.sketch import sketch
from inference.executor.inspection import Inspector
from inference.executor.limits import Limits
from inference.executor.protocol import Frame, RefusalError
from inference.executor.spawn import Spawner
from tests.inference.executor.models import BOOL, constant, model, network, node, sha, value
from tests.inference.executor.running import program


def drawn(*parts: Any, **more: Any) -> dict[str, Any]:
    found = sketch(bytes(model(*parts, **more).SerializeToString()))
    assert found["reason"] == ""
    skeleton: dict[str, Any] = found["skeleton"]
    return skeleton


def conv() -> list[Any]:
    nodes = [
        node("Conv", ["x", "w"], ["c"], kernel_shape=[3, 3], pads=[1, 1, -1, 1], auto_pad="NOTSET"),
        node("LeakyRelu", ["c"], ["y"], alpha=0.25, name="leaky"),
    ]
    weight = constant("w", np.full((4, 1, 3, 3), 1234.5))
    return [nodes, [value("x", shape=("N", 1, 8, 8))], [value("y", shape=None)], [weight]]


def test_every_edge_is_there_and_no_weight() -> None:
    skeleton = drawn(*conv())
    names = [item["name"] for item in skeleton["values"]]
    first, second = skeleton["nodes"]
    assert [names[at] for at in first["inputs"] + first["outputs"]] == ["x", "w", "c"]
    assert [names[at] for at in second["inputs"] + second["outputs"]] == ["c", "y"]
    assert [names[at] for at in skeleton["inputs"] + skeleton["outputs"]] == ["x", "y"]
    x, w, y = (skeleton["values"][names.index(name)] for name in "xwy")
    assert (x["datatype"], x["shape"], x["weight"]) == ("FP32", ["N", 1, 8, 8], False)
    assert (w["datatype"], w["shape"], w["weight"]) == ("FP32", [4, 1, 3, 3], True)
    assert y["shape"] is None
    assert "1234" not in str(skeleton)


def test_short_attributes_are_shown_and_long_ones_counted() -> None:
    first, second = drawn(*conv())["nodes"]
    assert dict(first["attributes"]) == {
        "kernel_shape": "[3, 3]",
        "pads": "[1, 1, -1, 1]",
        "auto_pad": "NOTSET",
    }
    assert second["attributes"] == [["alpha", "0.25"]]
    many = node(
        *("Scan2", ["x"], ["y"]),
        ints=list(range(40)),
        few=[0.5, -2.0],
        words=["a", "b"],
        text="t" * 300,
        tensor=constant("t", [1, 2]),
        domain="my",
    )
    (only,) = drawn([many], [value("x")], [value("y")], domains=[("my", 1)])["nodes"]
    assert dict(only["attributes"]) == {
        "ints": "40 ints",
        "few": "[0.5, -2]",
        "words": "[a, b]",
        "text": "a long text",
        "tensor": "FP32 [2]",
    }


def test_left_out_inputs_keep_their_place_and_branches_are_counted() -> None:
    branch = helper.make_graph([node("Identity", ["x"], ["b"])], "b", [], [value("b")])
    nodes = [
        node("Clip", ["x", "", "x"], ["c"]),
        node("If", ["q"], ["y"], then_branch=branch, else_branch=branch),
    ]
    skeleton = drawn(nodes, [value("x"), value("q", BOOL, ())], [value("y")])
    clip, branching = skeleton["nodes"]
    assert clip["inputs"][1] is None
    assert (clip["inner"], branching["inner"]) == (0, 2)
    assert dict(branching["attributes"]) == {"then_branch": "a graph", "else_branch": "a graph"}


def test_calls_of_own_functions_are_marked() -> None:
    function = helper.make_function(
        "my", "Twice", ["a"], ["b"], [node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 20)]
    )
    call = node("Twice", ["x"], ["y"], domain="my")
    skeleton = drawn([call], [value("x")], [value("y")], domains=[("my", 1)], functions=[function])
    assert skeleton["nodes"][0]["function"] is True


def test_a_hostile_name_is_cut_and_does_nothing() -> None:
    bad = "\u202e" + "x" * 5_000
    skeleton = drawn([node("Neg", ["x"], ["y"], name=bad[:4_000])], [value("x")], [value("y")])
    name = skeleton["nodes"][0]["name"]
    assert name.startswith("\\u202e")
    assert len(name) == 120


@pytest.mark.parametrize(
    ("count", "words"), [(c.MAX_DRAWN_NODES, ""), (c.MAX_DRAWN_NODES + 1, "at most 2000 nodes")]
)
def test_too_many_nodes_say_so(count: int, words: str) -> None:
    nodes = [node("Neg", [f"v{at}"], [f"v{at + 1}"]) for at in range(count)]
    data = model(nodes, [value("v0")], [value(f"v{count}")]).SerializeToString()
    found = sketch(bytes(data))
    assert (found["skeleton"] is None) == bool(words)
    assert words in found["reason"]


def test_long_texts_together_are_refused() -> None:
    more = {f"{at}{'a' * 110}": "é" * 110 for at in range(32)}
    nodes = [node("Neg", [f"v{at}"], [f"v{at + 1}"], **more) for at in range(300)]
    found = sketch(bytes(model(nodes, [value("v0")], [value("v300")]).SerializeToString()))
    assert found["reason"] == "its names and attributes are too many, or too long"


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x08\x01", network()[:-3]])
def test_what_cannot_be_read_says_why(data: bytes) -> None:
    found = sketch(data)
    assert found["skeleton"] is None
    assert found["reason"].startswith("it cannot be read: ")


def test_the_jail_makes_it_and_asks_for_the_file_once(client: ExecutorClient) -> None:
    known = ModelProto.FromString(network())
    known.doc_string = "a file that this executor has not had"
    data = bytes(known.SerializeToString())
    asked: list[str] = []

    def read(sha256: str) -> bytes:
        asked.append(sha256)
        return data

    for _ in range(2):
        header = client.sketch(sha(data), read).header
        assert header["reason"] == ""
        assert [item["op"] for item in header["skeleton"]["nodes"]] == [
            *("MatMul", "Tanh", "MatMul", "Softmax")
        ]
    assert asked == [sha(data)]
    assert "cannot be read" in client.sketch(sha(b"no"), lambda _: b"no").header["reason"]
    with pytest.raises(ExecutorError, match="names no graph"):
        client._call({"op": "sketch", "sha256": 5})


def test_who_waits_too_long_is_told_so_and_what_takes_too_long_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("inference.executor.inspection.SLOT_WAIT_S", 0.01)
    spawner = Spawner()
    hurried = Inspector(program(), spawner, Limits(load_s=0.001))
    request = Frame(header={"op": "sketch", "sha256": sha(network())})
    found = hurried.sketch(request, lambda _: network())
    assert found == {
        "skeleton": None,
        "reason": "it takes more time than an inspection may take",
    }
    with hurried._sketching, pytest.raises(RefusalError) as refused:
        hurried.sketch(request, lambda _: network())
    assert (refused.value.code, refused.value.retry) == ("busy", True)
    spawner.close()
