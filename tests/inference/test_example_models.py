"""The models that come with the source: what their cards offer to try is what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from assay.tensors import Tensor
from examples.publish import MODELS
from inference.choices import ExecutorKind
from inference.services.examples import example_of
from inference.services.request import Declared
from registry.services import cards

EXAMPLES = Path(__file__).parents[2] / "examples"
INPUTS = {
    "digits": Declared(name="image", datatype="FP32", shape=(-1, 1, 8, 8)),
    "wine": Declared(name="features", datatype="FP32", shape=(-1, 13)),
    "diabetes": Declared(name="features", datatype="FP32", shape=(-1, 10)),
}


def told(name: str) -> dict[str, Any]:
    checked = cards.validate((EXAMPLES / name / "README.md").read_text(encoding="utf-8"))
    assert checked.card is not None
    assert checked.warnings == ()
    block: dict[str, Any] = checked.card.metadata["assay"]
    return block


def tensor(name: str, values: Any) -> Tensor:
    """Return the tensor that the model is given for what a card offers."""
    card = {"assay": {"input": {"example": values}}}
    made = example_of(card, [INPUTS[name]], ExecutorKind.PORTABLE)
    assert made is not None, name
    return made[0]


def answers(name: str) -> list[tuple[str, list[Any]]]:
    """Return the title of each example and what the model answers to it."""
    model = ReferenceEvaluator(onnx.load(EXAMPLES / name / "model.onnx"))
    found = []
    for example in told(name)["examples"]:
        given = tensor(name, example["values"])
        array = np.frombuffer(given.data, np.float32).reshape(given.shape)
        outputs = model.run(None, {given.name: array})
        found.append(
            (example["title"], [np.asarray(output).ravel().tolist() for output in outputs])
        )
    return found


@pytest.mark.parametrize("name", MODELS)
def test_the_first_example_is_the_one_that_a_release_is_tried_on(name: str) -> None:
    block = told(name)
    titles = [example["title"] for example in block["examples"]]
    assert 3 <= len(set(titles)) == len(titles) <= 8
    first = example_of({"assay": block}, [INPUTS[name]], ExecutorKind.PORTABLE)
    assert first == (tensor(name, block["examples"][0]["values"]),)


def test_the_digits_are_read_as_their_titles_say_but_for_one() -> None:
    read = {title: digit for title, (_, (digit,)) in answers("digits")}
    hard = read.pop("an 8 that it misreads")
    assert read == {f"a {digit}": digit for digit in (0, 3, 4, 7, 9)}
    assert hard != 8


def test_the_wines_are_of_the_cultivar_in_their_titles() -> None:
    labels = told("wine")["labels"]
    for title, ((label,), probabilities) in answers("wine"):
        assert title.partition(",")[0] == labels[label]
        assert (max(probabilities) < 0.9) == title.endswith("less clear")


def test_the_patients_come_in_the_order_of_their_scores() -> None:
    scores = [score for _, ((score,),) in answers("diabetes")]
    assert scores == sorted(scores)
    assert 25 < scores[0] < scores[-1] < 346
