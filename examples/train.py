"""Train the three example models on scikit-learn's bundled data, and write their cards.

    python examples/train.py          # writes examples/<name>/model.onnx and README.md, and
                                      # examples/requests/<name>.json, the first held-out case

Every figure on a card comes from this script: it splits once (a quarter held out, seed 0), trains,
exports to ONNX, and measures the exported file's reference result on the held-out part. The inputs
that a card offers are held-out cases too. It needs the development requirements (scikit-learn,
skl2onnx).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_diabetes, load_digits, load_wine
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error, r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from assay.canonical import canonical_json

HERE = Path(__file__).parent
SEED = 0
OPSET = {"": 18, "ai.onnx.ml": 3}
# What a card offers to try: titles that say what a case is, and its place in the held-out part.
OFFERED = {
    "digits": {"a 0": 1, "a 3": 30, "a 4": 2, "a 7": 9, "a 9": 3, "an 8 that it misreads": 217},
    "wine": {"cultivar 0": 8, "cultivar 1": 2, "cultivar 2": 0, "cultivar 1, less clear": 33},
    "diabetes": {"score became 64": 3, "score became 175": 4, "score became 275": 5},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A data set in two parts: `train_x`, `train_y` to learn from, `test_x`, `test_y` held out."""

    train_x: Any
    test_x: Any
    train_y: Any
    test_y: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """An exported model, what was measured on the held-out part, and that split."""

    model: onnx.ModelProto
    metrics: dict[str, float]
    split: Split


def split(features: Any, targets: Any, *, stratify: bool) -> Split:
    """Hold out a quarter, the same one at every call."""
    parts = train_test_split(
        features,
        targets,
        test_size=0.25,
        random_state=SEED,
        stratify=targets if stratify else None,
    )
    return Split(train_x=parts[0], test_x=parts[1], train_y=parts[2], test_y=parts[3])


def moved(images: Any, down: int, right: int) -> Any:
    """Return `images` [N, 8, 8] moved by whole pixels, paper coming in at the edge."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    return padded[:, 1 - down : 9 - down, 1 - right : 9 - right]


def nudged(images: Any) -> Any:
    """Return seven takes of each image: as it is, a pixel left and right, half a pixel each way.

    Whoever draws with a mouse does not centre as the data set's makers did.
    """
    whole = [moved(images, 0, right) for right in (0, 1, -1)]
    steps = ((0, 1), (0, -1), (1, 0), (-1, 0))
    half = [(images + moved(images, down, right)) / 2 for down, right in steps]
    return np.concatenate([*whole, *half])


def digits() -> Trained:
    """Train a two-layer perceptron on 8x8 digits; the graph takes `image` FP32 [N, 1, 8, 8]."""
    data = load_digits()
    parts = split(data.data, data.target, stratify=True)
    net = MLPClassifier(hidden_layer_sizes=(128, 64), alpha=1e-3, random_state=SEED, max_iter=400)
    takes = nudged(parts.train_x.reshape(-1, 8, 8)).reshape(-1, 64)
    net.fit(takes / 16.0, np.tile(parts.train_y, len(takes) // len(parts.train_y)))
    weights = [
        numpy_helper.from_array(value.astype(np.float32), f"{letter}{layer}")
        for letter, values in (("w", net.coefs_), ("b", net.intercepts_))
        for layer, value in enumerate(values)
    ]
    weights.append(numpy_helper.from_array(np.array(1 / 16, np.float32), "scale"))
    nodes = [
        helper.make_node("Flatten", ["image"], ["pixels"], axis=1),
        helper.make_node("Mul", ["pixels", "scale"], ["a0"]),
        helper.make_node("Gemm", ["a0", "w0", "b0"], ["z0"]),
        helper.make_node("Relu", ["z0"], ["a1"]),
        helper.make_node("Gemm", ["a1", "w1", "b1"], ["z1"]),
        helper.make_node("Relu", ["z1"], ["a2"]),
        helper.make_node("Gemm", ["a2", "w2", "b2"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["logits"], ["digit"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 8, 8])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 10]),
            helper.make_tensor_value_info("digit", TensorProto.INT64, ["N"]),
        ],
        weights,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9, producer_name="assay"
    )
    images = parts.test_x.reshape(-1, 1, 8, 8).astype(np.float32)
    found = ReferenceEvaluator(model).run(["digit"], {"image": images})[0]
    return Trained(model=model, metrics=classification(parts.test_y, found), split=parts)


def wine() -> Trained:
    """Train a scaled logistic regression on thirteen analyses of wine: `features` FP32 [N, 13]."""
    data = load_wine()
    parts = split(data.data.astype(np.float32), data.target, stratify=True)
    net = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, random_state=SEED))
    net.fit(parts.train_x, parts.train_y)
    model = export(net, 13, zipmap=False)
    found = ReferenceEvaluator(model).run(None, {"features": parts.test_x})[0]
    return Trained(model=model, metrics=classification(parts.test_y, found), split=parts)


def export(net: Any, width: int, **options: bool) -> onnx.ModelProto:
    """Convert a fitted pipeline that takes `features` FP32 [N, width].

    skl2onnx imports the default operator set twice; a set may stand only once.
    """
    model = to_onnx(
        net,
        initial_types=[("features", FloatTensorType([None, width]))],
        options=options,
        target_opset=OPSET,
    )
    sets = {item.domain: item.version for item in model.opset_import}
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(*item) for item in sorted(sets.items()))
    return model


def diabetes() -> Trained:
    """Train a scaled ridge regression on ten measurements of a patient: `features` FP32 [N, 10]."""
    data = load_diabetes(scaled=False)
    parts = split(data.data.astype(np.float32), data.target, stratify=False)
    net = make_pipeline(StandardScaler(), Ridge(alpha=10.0, random_state=SEED))
    net.fit(parts.train_x, parts.train_y)
    model = export(net, 10)
    found = ReferenceEvaluator(model).run(None, {"features": parts.test_x})[0].ravel()
    metrics = {
        "r2": float(r2_score(parts.test_y, found)),
        "mae": float(mean_absolute_error(parts.test_y, found)),
    }
    return Trained(model=model, metrics=metrics, split=parts)


def classification(wanted: Any, found: Any) -> dict[str, float]:
    """Return accuracy and macro F1 of `found` against `wanted`."""
    return {
        "accuracy": float(accuracy_score(wanted, found)),
        "f1": float(f1_score(wanted, found, average="macro")),
    }


def offered(name: str, parts: Split) -> str:
    """Return the held-out cases that a card offers as it lists them; an image keeps its rows."""
    lines = []
    for title, at in OFFERED[name].items():
        values = [float(str(value)) for value in parts.test_x[at]]
        lines.append(f"  - title: {title}")
        if name == "digits":
            rows = np.array(values, int).reshape(8, 8).tolist()
            lines += ["    values: [", ",\n".join(f"      {row}" for row in rows) + "]"]
        else:
            lines.append(f"    values: {values}")
    return "\n".join(lines)


def card(name: str, metrics: dict[str, float], parts: Split) -> str:
    """Fill the card's template with the measured figures and the offered cases."""
    template = (HERE / name / "card.template.md").read_text(encoding="utf-8")
    for metric, value in metrics.items():
        digits_shown = 2 if metric == "mae" else 4
        template = template.replace(f"%{metric}%", f"{value:.{digits_shown}f}")
    template = template.replace("%examples%", offered(name, parts))
    return template.replace("%held_out%", str(len(parts.test_y)))


def request(model: onnx.ModelProto, case: Any) -> bytes:
    """Return the Open Inference Protocol request that asks about one held-out case."""
    entry = model.graph.input[0]
    shape = [dim.dim_value or 1 for dim in entry.type.tensor_type.shape.dim]
    data = np.asarray(case, np.float32).ravel().tolist()
    tensor = {"name": entry.name, "datatype": "FP32", "shape": shape, "data": data}
    return canonical_json({"inputs": [tensor]}) + b"\n"


def main() -> None:
    """Train, export, check and write all three."""
    for train in (digits, wine, diabetes):
        name = train.__name__
        done = train()
        onnx.checker.check_model(done.model)
        content = done.model.SerializeToString(deterministic=True)
        text = card(name, done.metrics, done.split)
        (HERE / name / "model.onnx").write_bytes(content)
        (HERE / name / "README.md").write_text(text, encoding="utf-8")
        asked = request(done.model, done.split.test_x[0])
        (HERE / "requests" / f"{name}.json").write_bytes(asked)
        print(name, done.metrics, "first case:", done.split.test_y[0])  # noqa: T201 (a script's report)


if __name__ == "__main__":
    main()
