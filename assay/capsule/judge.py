"""Who is right about one node: both claims against a run of it that the reader made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay.capsule.archive import Capsule, Claim
from assay.closeness import CLOSE, DIVERGED, EXACT, SOUND, close
from assay.tensors import Tensor, canonical_nan
from assay.trace import value_of

OTHER = "other"
_RANK = {EXACT: 0, CLOSE: 1, SOUND: 2, OTHER: 3, DIVERGED: 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How a claim stands beside the reader's own run.

    `verdict` is `exact`, `close`, `sound` or `diverged` as in `assay.closeness`, or `other` where
    the bits differ and the capsule holds only digests of the claim. `value`, `place` and `worst`
    tell the output that lies furthest off.
    """

    label: str
    verdict: str
    value: str = ""
    place: int | None = None
    worst: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether the claim is the node's own answer, or a rounding of it."""
        return self.verdict in (EXACT, CLOSE)


def judge(capsule: Capsule, found: Sequence[Tensor]) -> list[Judgement]:
    """Compare every claim of the capsule with what the node gave to the reader."""
    answers = {tensor.name: canonical_nan(tensor) for tensor in found}
    return [_judge(capsule, claim, answers) for claim in capsule.claims]


def _judge(capsule: Capsule, claim: Claim, answers: dict[str, Tensor]) -> Judgement:
    claimed = {tensor.name: tensor for tensor in claim.tensors}
    worst = Judgement(label=claim.label, verdict=EXACT)
    for value in claim.outputs:
        answer, tensor = answers.get(value.name), claimed.get(value.name)
        if value.sha256 is None or (answer is not None and value_of(answer) == value):
            continue
        one = Judgement(label=claim.label, verdict=OTHER, value=value.name)
        if answer is None or (answer.datatype, answer.shape) != (value.datatype, value.shape):
            one = Judgement(label=claim.label, verdict=DIVERGED, value=value.name)
        elif tensor is not None:
            apart = close(tensor.datatype, tensor.data, answer.data, bound=capsule.bound)
            one = Judgement(
                label=claim.label,
                verdict=apart.verdict,
                value=value.name,
                place=apart.place,
                worst=apart.worst,
            )
        if (_RANK[one.verdict], one.worst) > (_RANK[worst.verdict], worst.worst):
            worst = one
    return worst
