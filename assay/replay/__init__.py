"""Run an execution again and compare bits.

The rules:

1. Graph, external data and input are compared with the digests of the receipt before they are used.
2. A runtime is a program. Its files are run if they are those of a runtime that this package knows
   by digest, or if the reader put them into a folder and named it. A digest in a receipt is no
   reason to run what a server sends.
3. The verdict is equality of digests: `exact` or `diverged`. What could not run is `unrunnable`,
   which says nothing about the receipt.

    result = replay(predicate, material, NodeRunner(node=path, files=runtime_files))
"""

from __future__ import annotations

from assay.replay.compare import Difference, differences
from assay.replay.job import Fetch, Job, Material, Runner
from assay.replay.kept import KeptNode
from assay.replay.node import NodeRunner, find_node
from assay.replay.run import DIVERGED, EXACT, UNRUNNABLE, Replay, replay
from assay.replay.runtimes import KNOWN_RUNTIMES, files_from_folder, files_from_registry
from assay.replay.sources import Registry, material_from_registry, read_model

__all__ = [
    "DIVERGED",
    "EXACT",
    "KNOWN_RUNTIMES",
    "UNRUNNABLE",
    "Difference",
    "Fetch",
    "Job",
    "KeptNode",
    "Material",
    "NodeRunner",
    "Registry",
    "Replay",
    "Runner",
    "differences",
    "files_from_folder",
    "files_from_registry",
    "find_node",
    "material_from_registry",
    "read_model",
    "replay",
]
