"""Evaluation results of a revision: what its publisher claims, in the Hub's two forms.

`model-index` in the card's metadata, and the files `.eval_results/*.yaml`. Both are strangers'
text: a file that cannot be read is said to be so and is no reason to refuse anything. What of it
is proven is decided by `registry.services.evaluations_checked`; a `verified: true` in an upload is
not even read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.contrib.postgres.aggregates import JSONBAgg
from django.db.models import Count, Q
from django.db.models.functions import JSONObject

from assay.canonical import canonical_json
from registry import yaml_core
from registry.models import Revision
from registry.paths import CARD
from registry.services import contents

FOLDER = ".eval_results/"
SUFFIXES = (".yaml", ".yml")
MAX_FILES, MAX_RESULTS, MAX_TEXT = 50, 200, 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One number that somebody says was measured. All texts; `""` where nothing is said.

    `place` is the file that says it. `source_url` is shown as a link only when `link` is not empty.
    """

    place: str
    metric: str
    value: str
    task: str = ""
    dataset: str = ""
    config: str = ""
    split: str = ""
    date: str = ""
    notes: str = ""
    source_name: str = ""
    source_url: str = ""
    token: str = ""

    @property
    def link(self) -> str:
        """The source's address when a page may lead there: http or https, or a path of ours."""
        return safe_link(self.source_url)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFile:
    """A file of results: its items, or why there are none."""

    name: str
    items: tuple[Mapping[str, Any], ...]
    error: str = ""


def safe_link(url: str) -> str:
    """Return `url` when it is an http or https address or a path of this site, else `""`."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.scheme in ("http", "https") and parts.netloc:
        return url
    ours = not parts.scheme and not parts.netloc and url.startswith("/") and "\\" not in url
    return url if ours else ""


def results(revision: Revision, read: Iterable[ResultFile] | None = None) -> list[Result]:
    """Return the results that a revision claims, at most `MAX_RESULTS`; those of the card first.

    `read` are its files where the caller has read them already.
    """
    found = list(_of_index(revision.card_metadata.get("model-index")))
    for file in files(revision) if read is None else read:
        found += [_of_item(file.name, item) for item in file.items]
    return found[:MAX_RESULTS]


def files(revision: Revision) -> list[ResultFile]:
    """Return the files of results, at most `MAX_FILES`, by path; one query.

    A file is read once in the life of a process: its digest says that it is the same.
    """
    return counted_files(revision).results


class Counted(NamedTuple):
    """The files of results, how many files there are in all, and is the card's file stopped?"""

    results: list[ResultFile]
    in_all: int
    card_stopped: bool


def counted_files(revision: Revision) -> Counted:
    """Return what a card's page tells of the files of its revision; one query."""
    told = revision.files.aggregate(
        count=Count("pk"),
        stopped=Count("pk", filter=Q(path=CARD) & ~Q(blob__standing="")),
        named=JSONBAgg(
            JSONObject(path="path", digest="blob_id"),
            filter=Q(path__startswith=FOLDER, blob__standing=""),
        ),
    )
    named = sorted(
        (item["path"], item["digest"])
        for item in told["named"] or ()
        if item["path"].endswith(SUFFIXES) and "/" not in item["path"].removeprefix(FOLDER)
    )
    return Counted(
        results=[_file(path, digest) for path, digest in named[:MAX_FILES]],
        in_all=told["count"],
        card_stopped=told["stopped"] > 0,
    )


def hub_results(revision: Revision) -> list[dict[str, Any]]:
    """Return `evalResults` as hub clients read it: one result of a file each, or a file's error."""
    found: list[dict[str, Any]] = []
    for file in files(revision):
        if file.error:
            found.append({"filename": file.name, "error": file.error})
        found += [{"filename": file.name, "data": dict(item)} for item in file.items]
    return found[:MAX_RESULTS]


def _file(path: str, digest: str) -> ResultFile:
    items, error = _read(digest)
    return ResultFile(name=path, items=items, error=error)


@lru_cache(maxsize=256)
def _read(digest: str) -> tuple[tuple[Mapping[str, Any], ...], str]:
    data = contents.read_small(digest, yaml_core.MAX_BYTES + 1)
    try:
        value, _ = yaml_core.load(data.decode("utf-8"))
    except UnicodeDecodeError:
        return (), "not UTF-8 text"
    except yaml_core.YamlRefusedError as error:
        return (), str(error)
    if not isinstance(value, list):
        return (), "not a list of results"
    for number, item in enumerate(value, 1):
        fault = _fault(item)
        if fault:
            return (), f"result {number}: {fault}"
    return tuple(value), ""


def _fault(item: Any) -> str:
    """Return what is wrong with one item of a file, `""` when nothing is."""
    if not isinstance(item, dict):
        return "not an object"
    dataset = item.get("dataset")
    if not isinstance(dataset, dict):
        return "'dataset' is an object with id and task_id"
    for key in ("id", "task_id"):
        if not isinstance(dataset.get(key), str) or not dataset[key]:
            return f"'dataset.{key}' is missing"
    if item.get("value") is None:
        return "'value' is missing"
    # Hub clients raise on such a source, whatever else they were asked for.
    source = item.get("source")
    if source is not None and not isinstance(_at(source, "url"), str):
        return "'source' is an object with url"
    return ""


# ------------------------------------------------------------------ the two forms


def _of_index(index: Any) -> Iterator[Result]:
    """Yield the results of a `model-index`, whose form was checked when the card came."""
    for model in _list(index):
        for result in _list(_at(model, "results")):
            task, dataset = _at(result, "task"), _at(result, "dataset")
            source = _at(result, "source")
            for metric in _list(_at(result, "metrics")):
                yield Result(
                    place=CARD,
                    metric=text(_at(metric, "name")) or text(_at(metric, "type")),
                    value=text(_at(metric, "value")),
                    task=text(_at(task, "name")) or text(_at(task, "type")),
                    dataset=text(_at(dataset, "name")) or text(_at(dataset, "type")),
                    config=text(_at(dataset, "config")) or text(_at(metric, "config")),
                    split=text(_at(dataset, "split")),
                    source_name=text(_at(source, "name")),
                    source_url=_whole(_at(source, "url")),
                    token=_whole(_at(metric, "verifyToken")),
                )


def _of_item(name: str, item: Mapping[str, Any]) -> Result:
    dataset, source = _at(item, "dataset"), _at(item, "source")
    return Result(
        place=name,
        metric=text(_at(dataset, "task_id")),
        value=text(item.get("value")),
        dataset=text(_at(dataset, "id")),
        date=text(item.get("date")),
        notes=text(item.get("notes")),
        source_name=text(_at(source, "name")),
        source_url=_whole(_at(source, "url")),
        token=_whole(item.get("verifyToken")),
    )


def _at(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _whole(value: Any) -> str:
    return value if isinstance(value, str) else ""


def text(value: Any) -> str:
    """Return a value of the metadata as one short line: numbers as JSON writes them."""
    if value is None:
        return ""
    words = value if isinstance(value, str) else canonical_json(value).decode("utf-8")
    line = " ".join(words.split())
    return line if len(line) <= MAX_TEXT else line[: MAX_TEXT - 1] + "…"
