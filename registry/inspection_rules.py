"""The rules of the inspection, for people: what each code means, and what helps.

`docs/reference/inspection.md` lists the same, and `/docs/inspection/` shows them; tests compare
these with the codes that the inspection uses, and the limits with its constants.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: when it is asked (`upload`, `file`, `graph`, `run`), and how bad it is.

    `level` is `refused` (nothing is stored), `failed` (not published), `flag` (published with
    words) or `note` (a fact); a rule that may be either has the worse one.
    """

    code: str
    stage: str
    level: str
    meaning: str
    remedy: str


def _rule(code: str, stage: str, level: str, meaning: str, remedy: str) -> Rule:
    return Rule(code=code, stage=stage, level=level, meaning=meaning, remedy=remedy)


_EXPORT = "Export the model anew with current tools."
_SMALLER = "Split the model, or export it with fewer of them."
_ALL = (
    _rule(
        "path",
        "upload",
        "refused",
        "A path is not the same plain relative path on every system: it climbs, is not in Unicode "
        "form C, hides or turns text, is a device or no name on Windows, or differs from another "
        "only by case.",
        "Rename the file.",
    ),
    _rule(
        "kind",
        "upload",
        "refused",
        "The content is one that runs code when it is loaded (pickle, PyTorch, Keras), an archive, "
        "a program, a web page, or one thing at its start and another at its end.",
        "Export the model to ONNX or safetensors; unpack archives; leave programs out.",
    ),
    _rule("card", "upload", "refused", "README.md is no card.", "Mend the lines it names."),
    _rule(
        "malformed",
        "file",
        "failed",
        "The bytes are not the protobuf of one ONNX model: cut off, of wrong types, or with a "
        "field twice that stands once.",
        _EXPORT,
    ),
    _rule("unknown", "file", "failed", "Too many bytes in fields that ONNX lacks.", _EXPORT),
    _rule("depth", "file", "failed", "Messages or graphs are nested too deep.", _EXPORT),
    _rule("fields", "file", "failed", "Too many fields or messages.", _SMALLER),
    _rule("nodes", "file", "failed", "Too many nodes.", _SMALLER),
    _rule("initializers", "file", "failed", "Too many initializers.", _SMALLER),
    _rule("arity", "file", "failed", "A node has too many inputs or outputs.", _SMALLER),
    _rule("text", "file", "failed", "Names, texts or metadata are too long.", "Shorten them."),
    _rule("rank", "file", "failed", "A shape has too many or too large dimensions.", _EXPORT),
    _rule("functions", "file", "failed", "Too many functions.", _SMALLER),
    _rule("function_ring", "file", "failed", "Functions call themselves in a ring.", _EXPORT),
    _rule("function_depth", "file", "failed", "Functions are nested too deep.", "Inline them."),
    _rule("function_work", "file", "failed", "Functions expand to too much.", "Inline them."),
    _rule(
        "tensor_size",
        "file",
        "failed",
        "A tensor's bytes are not as many as its shape and datatype say.",
        _EXPORT,
    ),
    _rule("sparse", "file", "failed", "Sparse initializers are not taken.", "Make them dense."),
    _rule(
        "external",
        "file",
        "failed",
        "External data is not a plain file of this revision, or offsets and lengths do not fit it.",
        "Put the data file beside the graph, and commit both together.",
    ),
    _rule("opset", "graph", "failed", "No runtime here reads this IR version or opset.", _EXPORT),
    _rule(
        "domain",
        "graph",
        "failed",
        "No runtime here has these operators. Flagged: only the native one has.",
        "Export with the standard operators.",
    ),
    _rule("checker", "graph", "failed", "ONNX's own checker refuses it.", _EXPORT),
    _rule("nul", "graph", "failed", "A name or text holds a NUL character.", "Name it otherwise."),
    _rule(
        "limits",
        "graph",
        "failed",
        "The inspection itself met its limit of memory or time, or the files are too large for it.",
        "Make the graph smaller, or its weights external.",
    ),
    _rule(
        "too_large",
        "graph",
        "failed",
        "A graph, or a file with its data, is larger than an executor takes.",
        "Split the weights into several files.",
    ),
    _rule("load_failed", "run", "failed", "The runtime does not load it.", _EXPORT),
    _rule("load_crash", "run", "failed", "Loading it ended the process.", _EXPORT),
    _rule("load_time", "run", "failed", "Loading it takes too long.", "Fold constants before."),
    _rule("load_memory", "run", "failed", "Loading it takes too much memory.", "Fold less."),
    _rule("run_failed", "run", "flag", "A trial run on zeros failed.", "See whether it should."),
    _rule("run_time", "run", "flag", "A trial run on zeros took too long.", "Bound its loops."),
    _rule("run_memory", "run", "flag", "A trial run took too much memory.", "Bound it."),
    _rule(
        "control_flow",
        "graph",
        "flag",
        "How long it runs may depend on the input.",
        "Nothing to do.",
    ),
    _rule("random", "graph", "flag", "Unseeded random numbers: no replay agrees.", "Set a seed."),
    _rule("data_dependent", "graph", "flag", "Sizes depend on input values.", "Nothing to do."),
    _rule("free_dimensions", "graph", "note", "The caller chooses some sizes.", "Nothing to do."),
    _rule(
        "metadata",
        "graph",
        "flag",
        "The metadata holds addresses of other sites, or encoded data.",
        "Remove them, if nobody needs them.",
    ),
    _rule(
        "other_graph",
        "graph",
        "flag",
        "A graph beside the one that runs was not looked into: too many, or no time left.",
        "Make it a model of its own.",
    ),
    _rule("no_graph", "graph", "flag", "There is no ONNX file: nothing can be run.", "Add one."),
    _rule(
        "unnamed_data",
        "file",
        "note",
        "Data that no graph names, such as a tokenizer's: nobody looked into it.",
        "Nothing to do.",
    ),
)
RULES = {rule.code: rule for rule in _ALL}
# What a publisher may run into: words, and the number.
LIMITS: tuple[tuple[str, str, int], ...] = (
    ("nodes", "nodes of a graph, subgraphs included", 50_000),
    ("initializers", "initializers", 10_000),
    ("arity", "inputs or outputs of one node", 2_048),
    ("functions", "functions", 1_000),
    ("function_depth", "functions nested in each other", 32),
    ("function_work", "nodes that functions expand to, times their depth", 65_536),
    ("depth", "graphs nested in each other", 16),
    ("rank", "dimensions of a shape", 16),
    ("text", "bytes of a name", 4_096),
    ("text", "bytes of metadata", 65_536),
    ("external", "bytes of a gap in external data", 65_536),
    ("too_large", "bytes of a graph or a data file", 512 * 2**20),
    ("load_time", "seconds to load", 40),
    ("run_time", "seconds of the trial run", 20),
    ("load_memory", "bytes of memory beside three times the model's", 2**30),
    ("other_graph", "graphs of one revision that are looked into", 16),
)
