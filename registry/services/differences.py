"""What changed from one revision to another: files, graph, card.

Two revisions never change, so the same question has the same answer for ever. Contents
are strangers' bytes, so everything is bounded: only some small UTF-8 files are compared line by
line, and a stretch that is too long for that is shown as taken out and put in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.canonical import canonical_json
from registry import selectors
from registry.choices import Action
from registry.errors import InvalidInputError
from registry.models import Model, Release, Revision, RevisionFile
from registry.rights import Caller, can
from registry.services import contents

MAX_TEXT_BYTES = 256 * 1024
MAX_TEXT_FILES = 20
MAX_CELLS = 250_000  # old lines by new lines, after what both share at the ends
MAX_LINES, MAX_LINE = 500, 400
CONTEXT = 3
NO_END = "\\ No newline at end of file"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    """The content at a path: hex SHA-256, size in bytes, and whether moderators stopped it."""

    sha256: str
    size: int
    stopped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One path: `old` is None where it was added, `new` where it was removed."""

    path: str
    old: FileState | None
    new: FileState | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextChange:
    """A unified diff of a small text file; `cut` when lines or parts of them were left out."""

    path: str
    lines: tuple[str, ...]
    cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueChange:
    """A named value, JSON, before and after; None where it was not there."""

    name: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The changed paths, sorted, and how many stayed as they were."""

    added: tuple[FileChange, ...]
    removed: tuple[FileChange, ...]
    changed: tuple[FileChange, ...]
    unchanged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """What the inspections read: numbers of nodes by operator, ports by name, other facts."""

    operators: tuple[ValueChange, ...]
    inputs: tuple[ValueChange, ...]
    outputs: tuple[ValueChange, ...]
    opsets: tuple[ValueChange, ...]
    facts: tuple[ValueChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """From `old` to `new`. `graph` is None where one of them has no graph that was read."""

    old: Revision
    new: Revision
    files: Files
    graph: Graph | None
    card: tuple[ValueChange, ...]

    @property
    def same_content(self) -> bool:
        """True when both hold the very same files."""
        return self.old.manifest == self.new.manifest


_FACTS = ("parameters", "nodes", "initializers_bytes", "functions", "ir_version", "producer")


def compare(
    old: Revision, new: Revision, files: Iterable[RevisionFile] | None = None
) -> Difference:
    """Return what changed from `old` to `new`: one query, no content is read.

    `files` are those of both, where the caller has them already.
    """
    rows = list(selectors.files_of([old, new]) if files is None else files)
    return Difference(
        old=old,
        new=new,
        files=_files(
            (row for row in rows if row.revision_id == old.pk),
            (row for row in rows if row.revision_id == new.pk),
        ),
        graph=_graph(old, new),
        card=_card(old, new),
    )


def find(model: Model, name: str, field: str, user: Caller) -> Revision:
    """Return the revision that `name` names: a version, an alias, `latest`, or a revision's id.

    Raises:
        InvalidInputError: `name` is empty.
        UnknownRevisionError, NotReleasedError: nothing that `user` may know of.
    """
    if not name:
        raise InvalidInputError(f"Say '{field}': a version, an alias or a revision.", field=field)
    if selectors.REVISION_ID.fullmatch(name):
        return selectors.find_revision(model, name, user)
    revision = selectors.find_version(model, name, user=user).revision
    revision.model = model
    return revision


def texts(found: Difference, user: Caller) -> list[TextChange]:
    """Return the unified diffs of the text files among those that changed, by path.

    README.md first; new and removed files are compared with nothing. At most 20 files of at most
    256 KiB are read. Who may not have the files of the model gets none; nobody gets those of a
    release that moderators stopped.
    """
    if not can(user, Action.FILES, found.new.model) or _stopped(found.old, found.new):
        return []
    files = found.files
    touched = [*files.changed, *files.added, *files.removed]
    touched.sort(key=lambda change: (change.path != "README.md", change.path))
    small = [
        change
        for change in touched
        if all(side is None or side.size <= MAX_TEXT_BYTES for side in (change.old, change.new))
    ]
    changes: list[TextChange] = []
    for change in small[:MAX_TEXT_FILES]:
        old, new = _text(change.old), _text(change.new)
        if old is not None and new is not None:
            changes.append(unified(change, old, new))
    return changes


def _stopped(*revisions: Revision) -> bool:
    """Tell whether moderators stopped the release of one of these revisions."""
    return Release.objects.filter(revision__in=revisions).exclude(standing="").exists()


# ------------------------------------------------------------------ files


def _files(old: Iterable[RevisionFile], new: Iterable[RevisionFile]) -> Files:
    before, after = _states(old), _states(new)
    changes = [
        FileChange(path=path, old=before.get(path), new=after.get(path))
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]
    return Files(
        added=tuple(change for change in changes if change.old is None),
        removed=tuple(change for change in changes if change.new is None),
        changed=tuple(change for change in changes if change.old and change.new),
        unchanged=sum(before[path] == after.get(path) for path in before),
    )


def _states(rows: Iterable[RevisionFile]) -> dict[str, FileState]:
    return {
        row.path: FileState(sha256=row.blob_id, size=row.blob.size, stopped=bool(row.blob.standing))
        for row in rows
    }


def _text(state: FileState | None) -> str | None:
    """Return the text of a file, `""` where there is none; None when it is no text."""
    if state is None:
        return ""
    if state.stopped:
        return None
    data = contents.read_small(state.sha256, MAX_TEXT_BYTES)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


# ------------------------------------------------------------------ lines


def unified(change: FileChange, old: str, new: str) -> TextChange:
    """Return the unified diff of two texts, in bounded time and length."""
    before, after = _lines(old), _lines(new)
    lines = [
        f"--- {change.path if change.old else '/dev/null'}",
        f"+++ {change.path if change.new else '/dev/null'}",
    ]
    for group in _groups(_operations(before, after)):
        lines.append(_header(group))
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                lines += _marked(" ", before[i1:i2])
                continue
            lines += _marked("-", before[i1:i2])
            lines += _marked("+", after[j1:j2])
    kept = tuple(line[:MAX_LINE] for line in lines[:MAX_LINES])
    return TextChange(path=change.path, lines=kept, cut=kept != tuple(lines))


def _lines(text: str) -> list[str]:
    """Return the lines, each with its line feed, which the last one may lack."""
    *whole, last = text.split("\n")
    return [f"{line}\n" for line in whole] + ([last] if last else [])


def _marked(mark: str, lines: Sequence[str]) -> list[str]:
    shown = [mark + line.removesuffix("\n") for line in lines]
    unended = bool(lines) and not lines[-1].endswith("\n")
    return [*shown, NO_END] if unended else shown


_Operation = tuple[str, int, int, int, int]


def _operations(before: Sequence[str], after: Sequence[str]) -> list[_Operation]:
    """Return how `before` becomes `after`: ("equal" or "replace", from and to in both)."""
    shorter = min(len(before), len(after))
    head = next((i for i in range(shorter) if before[i] != after[i]), shorter)
    rest = shorter - head
    tail = next((i for i in range(rest) if before[-1 - i] != after[-1 - i]), rest)
    middle = _matched(before[head : len(before) - tail], after[head : len(after) - tail])
    found: list[_Operation] = [("equal", 0, head, 0, head)]
    found += [(tag, i1 + head, i2 + head, j1 + head, j2 + head) for tag, i1, i2, j1, j2 in middle]
    ends = (len(before), len(after))
    found.append(("equal", ends[0] - tail, ends[0], ends[1] - tail, ends[1]))
    return [item for item in found if item[1] < item[2] or item[3] < item[4]]


def _matched(old: Sequence[str], new: Sequence[str]) -> list[_Operation]:
    """Return the operations along a longest common subsequence.

    By the plain table, which costs old lines by new lines and never more: difflib's worst case is
    a power higher, and the lines are strangers'.
    """
    if len(old) * len(new) > MAX_CELLS:
        return [("replace", 0, len(old), 0, len(new))]
    # table[i][j]: the longest common subsequence of old[i:] and new[j:]
    table = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for i in range(len(old) - 1, -1, -1):
        row, below, line = table[i], table[i + 1], old[i]
        for j in range(len(new) - 1, -1, -1):
            row[j] = below[j + 1] + 1 if line == new[j] else max(below[j], row[j + 1])
    found: list[_Operation] = []
    i = j = start_i = start_j = 0
    while i < len(old) and j < len(new):
        if old[i] != new[j]:
            down = table[i + 1][j] >= table[i][j + 1]
            i, j = (i + 1, j) if down else (i, j + 1)
            continue
        found.append(("replace", start_i, i, start_j, j))
        start_i, start_j = i, j
        while i < len(old) and j < len(new) and old[i] == new[j]:
            i, j = i + 1, j + 1
        found.append(("equal", start_i, i, start_j, j))
        start_i, start_j = i, j
    return [*found, ("replace", start_i, len(old), start_j, len(new))]


def _groups(operations: Sequence[_Operation]) -> list[list[_Operation]]:
    """Cut what stayed equal to three lines around each change, and part far changes."""
    groups: list[list[_Operation]] = [[]]
    for index, (tag, i1, i2, j1, j2) in enumerate(operations):
        if tag != "equal":
            groups[-1].append((tag, i1, i2, j1, j2))
            continue
        after_change, before_change = bool(groups[-1]), index + 1 < len(operations)
        if after_change and before_change and i2 - i1 <= 2 * CONTEXT:
            groups[-1].append((tag, i1, i2, j1, j2))
            continue
        if after_change:
            end = min(i2, i1 + CONTEXT)
            groups[-1].append((tag, i1, end, j1, j1 + end - i1))
        if before_change:
            start = max(i1, i2 - CONTEXT)
            if after_change:
                groups.append([])
            groups[-1].append((tag, start, i2, j2 - (i2 - start), j2))
    return [group for group in groups if group]


def _header(group: Sequence[_Operation]) -> str:
    (_, i1, _, j1, _), (_, _, i2, _, j2) = group[0], group[-1]
    return f"@@ -{_range(i1, i2)} +{_range(j1, j2)} @@"


def _range(start: int, end: int) -> str:
    return f"{start + 1 if end > start else start},{end - start}"


# ------------------------------------------------------------------ graph and card


def _graph(old: Revision, new: Revision) -> Graph | None:
    before, after = selectors.facts(old), selectors.facts(new)
    if not before or not after:
        return None
    return Graph(
        operators=_changes(_mapping(before, "operators"), _mapping(after, "operators")),
        inputs=_changes(_ports(before, "inputs"), _ports(after, "inputs")),
        outputs=_changes(_ports(before, "outputs"), _ports(after, "outputs")),
        opsets=_changes(_mapping(before, "opsets"), _mapping(after, "opsets")),
        facts=_changes(
            {"path": old.graph_path, **{name: before.get(name) for name in _FACTS}},
            {"path": new.graph_path, **{name: after.get(name) for name in _FACTS}},
        ),
    )


def _mapping(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = facts.get(name)
    return found if isinstance(found, dict) else {}


def _ports(facts: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {
        port["name"]: {"datatype": port.get("datatype"), "shape": port.get("shape")}
        for port in facts.get(name) or ()
    }


def _card(old: Revision, new: Revision) -> tuple[ValueChange, ...]:
    return _changes(old.card_metadata, new.card_metadata)


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[ValueChange, ...]:
    return tuple(
        ValueChange(name=name, old=old.get(name), new=new.get(name))
        for name in sorted(old.keys() | new.keys())
        if not _same(old.get(name), new.get(name))
    )


def _same(old: Any, new: Any) -> bool:
    return canonical_json(old) == canonical_json(new)
