"""The limits of what is published. They are part of the verdict: every machine uses the same."""

from __future__ import annotations

MAX_PORTABLE_BYTES = 512 * 2**20  # with external data
MAX_PROTO_DEPTH, MAX_SUBGRAPH_DEPTH = 64, 16
MAX_NODES, MAX_INITIALIZERS, MAX_NODE_ARITY = 50_000, 10_000, 2_048
MAX_FUNCTIONS, MAX_FUNCTION_DEPTH = 1_000, 32
MAX_FUNCTION_WORK = 65_536  # expanded nodes x depth
MAX_RANK, MAX_DIM = 16, 2**40
MAX_NAME_BYTES, MAX_STRING_BYTES, MAX_STRINGS = 4_096, 2**20, 1_000_000
MAX_METADATA_ENTRIES, MAX_METADATA_BYTES, MAX_UNKNOWN_BYTES = 256, 65_536, 65_536
MAX_EXTERNAL_GAP = 65_536
MAX_FIELDS, MAX_MESSAGES = 5_000_000, 1_000_000  # of the walk itself

# What the pinned portable runtime reads.
MIN_IR_VERSION, MAX_IR_VERSION = 3, 13
OPSETS = {"": (7, 26), "ai.onnx.ml": (1, 5)}

# What is drawn: larger graphs have their summary alone.
MAX_DRAWN_NODES, MAX_DRAWN_LINKS, MAX_SKELETON_BYTES = 2_000, 10_000, 2 * 2**20
