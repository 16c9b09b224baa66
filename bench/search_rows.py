"""Models by the hundred thousand, as rows: cards, facts and names as publishers write them.

The rows are written behind the triggers' backs and the documents made afterwards by the command
that an operator has for it, which is measured, too. Everything comes from one seed.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.utils import timezone

from ledger.models import Entry
from registry.choices import ClaimKind, OwnerKind, RevisionState, Visibility
from registry.models import Blob, Claim, Key, Model, Owner, Release, Revision, RevisionFile

PER_OWNER = 20
TASKS = (
    *("text-generation", "text-classification", "image-classification", "feature-extraction"),
    *("token-classification", "object-detection", "fill-mask", "sentence-similarity"),
    *("automatic-speech-recognition", "tabular-classification", "image-segmentation"),
    *("question-answering", "translation", "summarization", "depth-estimation"),
)
LICENCES = ("apache-2.0", "mit", "other", "cc-by-4.0", "cc-by-nc-4.0", "bsd-3-clause", "gpl-3.0")
LIBRARIES = ("transformers", "onnx", "sentence-transformers", "timm", "sklearn", "keras")
LANGUAGES = ("en", "zh", "de", "fr", "es", "ja", "ko", "ru", "ar", "pt", "it", "nl", "pl", "tr")
FAMILIES = (
    *("bert", "roberta", "distilbert", "resnet", "mobilenet", "efficientnet", "vit", "yolo"),
    *("whisper", "llama", "gpt", "t5", "clip", "deberta", "unet", "swin", "convnext", "xgboost"),
)
ENDINGS = ("base", "large", "small", "tiny", "finetuned", "quantized", "int8", "v2", "uncased")
OPERATORS = (
    *("MatMul", "Add", "Relu", "Conv", "Gemm", "Softmax", "Reshape", "Transpose", "Concat", "Mul"),
    *("Gather", "LayerNormalization", "Sigmoid", "MaxPool", "BatchNormalization", "Resize", "Erf"),
    *("Slice", "Split", "ReduceMean", "Pow", "Sqrt", "Div", "Cast", "TreeEnsembleClassifier"),
)
COMMON = (
    *("the", "of", "and", "to", "in", "a", "is", "for", "this"),
    *("model", "on", "with", "was", "are", "trained", "data", "be", "by"),
    *("as", "from", "it", "that", "can", "training", "evaluation", "results", "dataset"),
    *(
        "license",
        "intended",
        "uses",
        "limitations",
        "more",
        "information",
        "input",
        "output",
        "accuracy",
    ),
    *("loss", "batch", "size", "learning", "rate", "epochs", "language", "fine", "tuned"),
    *(
        "version",
        "image",
        "text",
        "classification",
        "performance",
        "use",
        "code",
        "example",
        "import",
    ),
    *("pipeline", "tokenizer", "weights", "inference", "onnx"),
)
_LETTERS = "aeioulnrstdmcpbgfhvkwyzxjq"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One model as columns."""

    number: int
    name: str
    metadata: dict[str, Any]
    body: str
    report: dict[str, Any]
    size: int


def words(count: int, seed: int) -> list[str]:
    """Return that many words that look like words."""
    dice = random.Random(seed)
    weights = range(len(_LETTERS), 0, -1)
    return ["".join(dice.choices(_LETTERS, weights, k=dice.randint(3, 11))) for _ in range(count)]


def make(start: int, count: int) -> Iterator[Made]:
    """Yield models with these numbers; a number always gives the same one."""
    rare = words(30_000, 1)
    odds = [1 / (place + 3) for place in range(len(rare))]
    topics = words(400, 2)
    for number in range(start, start + count):
        dice = random.Random(number)
        family, task = dice.choice(FAMILIES), _early(dice, TASKS)
        parts = [family, _early(dice, ENDINGS), dice.choice(topics), f"{number:x}"]
        name = dice.choice("-_.").join(parts)
        text = dice.choices(COMMON, k=dice.randint(80, 260))
        text += dice.choices(rare, odds, k=dice.randint(60, 200))
        dice.shuffle(text)
        metadata = {
            "license": _early(dice, LICENCES),
            "pipeline_tag": task,
            "library_name": _early(dice, LIBRARIES),
            "language": list({_early(dice, LANGUAGES) for _ in range(dice.randint(1, 2))}),
            "tags": [family, *{_early(dice, topics) for _ in range(dice.randint(1, 6))}],
        }
        operators = {one: dice.randint(1, 90) for one in dice.sample(OPERATORS, 9)}
        facts = {
            "opsets": {"ai.onnx": dice.choice((11, 13, 14, 17, 18, 20, 21))},
            "operators": operators,
            "inputs": [{"name": "input_ids", "datatype": "INT64", "shape": ["n", 128]}],
            "outputs": [{"name": "logits", "datatype": "FP32", "shape": ["n", 2]}],
            "nodes": sum(operators.values()),
            "parameters": dice.randint(10**4, 10**9),
            "ir_version": 8,
        }
        yield Made(
            number=number,
            name=name,
            metadata=metadata,
            body=f"# {name}\n\n{' '.join(text)}.\n",
            report={"verdict": "passed", "findings": [], "facts": facts, "trial": None},
            size=int(10 ** dice.uniform(4.5, 10.2)),
        )


def _early(dice: random.Random, options: Sequence[str]) -> str:
    """Return one of `options`, the first ones much oftener."""
    return options[min(int(dice.expovariate(4.0) * len(options)), len(options) - 1)]


def insert(start: int, count: int) -> None:
    """Write the models with these numbers, their owners and keys; no document is made of them.

    One entry of the ledger, which must be there, stands for all their claims.
    """
    made = list(make(start, count))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        _people(range(start // PER_OWNER, (start + count - 1) // PER_OWNER + 1))
        for at in range(0, count, 2_000):
            _write(made[at : at + 2_000])


def _hex(what: str, digits: int = 64) -> str:
    return hashlib.sha256(what.encode()).hexdigest()[:digits]


def _people(numbers: Iterable[int]) -> None:
    """Write the accounts, owners and keys with these numbers that are not there yet."""
    users = get_user_model()
    there = set(users.objects.values_list("pk", flat=True))
    new = [number for number in numbers if number not in there]
    users.objects.bulk_create(users(pk=n, username=f"owner{n}") for n in new)
    Owner.objects.bulk_create(
        Owner(pk=n, name=f"owner{n}", kind=OwnerKind.USER, user_id=n) for n in new
    )
    Key.objects.bulk_create(
        Key(pk=_hex(f"key {n}"), owner_id=n, role="publisher", name="laptop", spki=b"", entry_id=-n)
        for n in new
    )


def _write(made: Sequence[Made]) -> None:
    Blob.objects.bulk_create(
        Blob(pk=_hex(f"blob {one.number}"), size=one.size, git_sha1=_hex("", 40)) for one in made
    )
    Model.objects.bulk_create(
        Model(
            pk=one.number,
            owner_id=one.number // PER_OWNER,
            name=one.name,
            visibility=Visibility.PRIVATE if one.number % 50 == 7 else Visibility.PUBLIC,
            head_id=_hex(f"revision {one.number}", 40),
        )
        for one in made
    )
    _write_revisions(made)
    _write_releases(made)


def _write_revisions(made: Sequence[Made]) -> None:
    now = timezone.now()
    Revision.objects.bulk_create(
        Revision(
            pk=_hex(f"revision {one.number}", 40),
            model_id=one.number,
            author_id=one.number // PER_OWNER,
            message="first",
            manifest=_hex(f"manifest {one.number}"),
            state=RevisionState.PASSED,
            graph_path="model.onnx",
            report=one.report,
            card_metadata=one.metadata,
            card_body=one.body,
            inspected_at=now,
            created_at=now,
        )
        for one in made
    )
    RevisionFile.objects.bulk_create(
        RevisionFile(
            revision_id=_hex(f"revision {one.number}", 40),
            path="model.onnx",
            blob_id=_hex(f"blob {one.number}"),
        )
        for one in made
    )


def _write_releases(made: Sequence[Made]) -> None:
    entry = Entry.objects.earliest("pk").pk
    releases = Release.objects.bulk_create(
        Release(
            model_id=one.number,
            revision_id=_hex(f"revision {one.number}", 40),
            number=1,
            version="1.0.0",
            key_id=_hex(f"key {one.number // PER_OWNER}"),
            author_id=one.number // PER_OWNER,
        )
        for one in made
    )
    Claim.objects.bulk_create(
        Claim(release=release, kind=kind, entry_id=entry)
        for release in releases
        for kind in ClaimKind.values
    )
