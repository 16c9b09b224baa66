"""Fault capsules: one node, its inputs and two claims, small enough to be checked alone.

capsule = Capsule.parse(data)
for judgement in judge(capsule, outputs_of_my_own_run):
print(judgement.label, judgement.verdict)
"""

from __future__ import annotations

from assay.capsule.archive import MAX_CAPSULE_BYTES, Capsule, Claim, Subject
from assay.capsule.build import Alone, make_capsule
from assay.capsule.final import Final, compare_final
from assay.capsule.graph import node_bound, one_node, wanted
from assay.capsule.judge import OTHER, Judgement, judge

__all__ = [
    "MAX_CAPSULE_BYTES",
    "OTHER",
    "Alone",
    "Capsule",
    "Claim",
    "Final",
    "Judgement",
    "Subject",
    "compare_final",
    "judge",
    "make_capsule",
    "node_bound",
    "one_node",
    "wanted",
]
