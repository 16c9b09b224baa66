"""What a search asks for, as conditions over `SearchDocument`, and the counts beside the list.

Every condition stands beside `rights.readable`: what the caller may not know of is neither found
nor counted, nor does it take the place of anything that is. Words are folded and quoted by the
database (migration 0009), so no sign that somebody types means anything to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.db.models import BooleanField, F, Func, QuerySet, Value
from django.db.models.functions import Lower
from django.http import QueryDict

from registry.models import Key, Model, Owner

MAX_TYPED = 200
MAX_VALUE = 96
MAX_VALUES = 12
CANDIDATES = {"exact": 50, "named": 200, "newest": 200}  # so many of each are ranked
COUNTED = 1_000  # of more matches than this, the counts are of these
SHOWN_VALUES = 12
FACETS: Mapping[str, str] = {
    "task": "Task",
    "license": "Licence",
    "library": "Library",
    "language": "Language",
    "opset": "Opset",
    "size": "Size of the files",
    "runnable": "Runs here",
    "signer": "Signed by",
    "tag": "Tag",
}
SIZES: Mapping[str, str] = {
    "1-under-1-mb": "under 1 MB",
    "2-to-10-mb": "1 to 10 MB",
    "3-to-100-mb": "10 to 100 MB",
    "4-to-1-gb": "100 MB to 1 GB",
    "5-to-10-gb": "1 to 10 GB",
    "6-over-10-gb": "over 10 GB",
}
# In this order of the words ABCD: card, operators and ports, metadata, names.
_WEIGHTS = [0.05, 0.2, 0.4, 1.0]
_BROAD = 3  # a word from this length on finds what begins so, in all that is said of a model


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What must hold of a model: all of it.

    `facets` has (kind, value) pairs with kinds of `FACETS`; `operator` names one of the graph's,
    `owner` the owner's name in whatever case; `mine` leaves in what is the caller's own, or their
    organisations'.
    """

    text: str = ""
    owner: str = ""
    operators: tuple[str, ...] = ()
    facets: tuple[tuple[str, str], ...] = ()
    released: bool = False
    mine: bool = False

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yield what is asked for as the parameters of an address, the text left out."""
        if self.owner:
            yield "owner", self.owner
        yield from self.facets
        for operator in self.operators:
            yield "operator", operator


def read_filters(asked: QueryDict, *, released: bool) -> Filters:
    """Return the filters in a query string; what it does not know, it leaves alone."""
    facets = {
        (kind, value): None
        for kind in FACETS
        for given in asked.getlist(kind)[:MAX_VALUES]
        if (value := clean(given, MAX_VALUE).lower())
    }
    operators = (clean(given, MAX_VALUE).lower() for given in asked.getlist("operator"))
    return Filters(
        text=clean(asked.get("q", "") or asked.get("search", ""), MAX_TYPED),
        owner=clean(asked.get("owner", ""), MAX_VALUE),
        operators=tuple(dict.fromkeys(word for word in operators if word))[:MAX_VALUES],
        facets=tuple(facets),
        released=released,
    )


def clean(typed: str, longest: int) -> str:
    """Return what a stranger typed as PostgreSQL takes it: no NUL, no half of a character."""
    whole = typed[: longest * 4].replace("\0", " ").encode(errors="replace").decode()
    return " ".join(whole.split())[:longest]


# ------------------------------------------------------------------ conditions


def query(text: str, shortest: int = _BROAD) -> Func:
    """Return the tsquery for what was typed."""
    return Func(Value(text), Value(shortest), function="registry_search_query")


def _matches(column: str, wanted: Func) -> Func:
    return Func(
        F(f"search__{column}"),
        wanted,
        template="%(expressions)s",
        arg_joiner=" @@ ",
        output_field=BooleanField(),
    )


def named(rows: QuerySet[Model], text: str) -> QuerySet[Model]:
    """Return those of `rows` whose name, with the owner's, has words that begin as typed."""
    return rows.filter(_matches("names", query(text, 1)))


def worded(rows: QuerySet[Model], text: str) -> QuerySet[Model]:
    """Return those of `rows` that the words find; a last word of a letter or two begins a name."""
    last = text.split()[-1]
    if len(last) < _BROAD and last.isascii():
        return named(rows, text)
    return rows.filter(_matches("document", query(text)))


def matching(rows: QuerySet[Model], wanted: Filters) -> QuerySet[Model]:
    """Return those of `rows` (models that the caller may know of) for which `wanted` holds."""
    if wanted.text:
        rows = worded(rows, wanted.text)
    if wanted.owner:
        owners = Owner.objects.alias(lower=Lower("name")).filter(lower=wanted.owner.lower())
        rows = rows.filter(owner_id__in=owners.values("pk"))
    if wanted.facets:
        labels = [f"{kind}:{value}" for kind, value in wanted.facets]
        rows = rows.filter(search__facets__contains=labels)
    if wanted.operators:
        rows = rows.filter(search__operators__contains=list(wanted.operators))
    if wanted.released:
        rows = rows.filter(search__release__isnull=False)
    return rows


_BEST = """
WITH candidate (id) AS MATERIALIZED (({exact}) UNION ({named}) UNION ({newest}))
SELECT d.model_id, d.full_name, d.names @@ registry_search_query(%s, 1),
    ts_rank(%s::real[], d.document, registry_search_query(%s, %s), 1)
FROM candidate JOIN registry_searchdocument AS d ON d.model_id = candidate.id
"""


def best(rows: QuerySet[Model], text: str) -> list[tuple[float, int]]:
    """Return (points, id) of those of `rows` that answer `text` best, best first; one query.

    Only so many are looked at as `CANDIDATES` says: those of just this name, those with names that
    match, and the newest of all. An exact name comes first, then names, then the weighed words.
    """
    name = Func(Value(text), function="registry_search_exact")
    whole = Func(name, template="quote_literal(%(expressions)s)::tsquery")
    parts = {
        "exact": rows.filter(_matches("names", whole)),
        "named": named(rows, text),
        "newest": worded(rows, text).order_by("-search__updated_at", "pk"),
    }
    sql: dict[str, str] = {}
    params: list[Any] = []
    for kind, part in parts.items():
        sql[kind], given = part.values("pk")[: CANDIDATES[kind]].query.sql_with_params()
        params += given
    with connection.cursor() as cursor:
        cursor.execute(_BEST.format(**sql), [*params, text, _WEIGHTS, text, _BROAD])
        found = cursor.fetchall()
    wanted = text.lower()
    scored = []
    for pk, full_name, is_named, rank in found:
        is_exact = wanted in (full_name, full_name.partition("/")[2])
        scored.append((rank + 1.0 * is_named + 10.0 * is_exact, pk))
    return sorted(scored, key=lambda one: (-one[0], one[1]))


# ------------------------------------------------------------------ counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many of the counted models have this value of a facet."""

    kind: str
    value: str
    label: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The counts for one set of filters.

    `total` is exact unless `more`: then there are more than `COUNTED` matches, `total` is
    `COUNTED`, and every count is of so many of them, which makes it the least that there are.
    """

    total: int
    more: bool
    facets: Mapping[str, Sequence[Count]] = field(default_factory=dict)


# A value's kind ends at its first colon. One pass over at most COUNTED + 1 rows, whatever matches.
_COUNT = """
WITH hits (facets) AS MATERIALIZED ({hits}),
counted AS (
    SELECT label, count(*) AS n FROM (SELECT facets FROM hits LIMIT {limit}) AS few,
        unnest(facets) AS label GROUP BY label
),
ranked AS (
    SELECT label, n, row_number() OVER (
        PARTITION BY split_part(label, ':', 1) ORDER BY n DESC, label
    ) AS place FROM counted
)
SELECT '', count(*), 0, NULL FROM hits
UNION ALL SELECT label, n, place, (
    SELECT o.name FROM registry_key AS k JOIN registry_owner AS o ON o.id = k.owner_id
    WHERE label LIKE 'signer:%%' AND k.fingerprint = substr(label, 8)
) FROM ranked WHERE place <= {shown}
ORDER BY 3, 1
"""


def count(rows: QuerySet[Model]) -> Counts:
    """Return how many `rows` there are, and how many have each of the commonest values.

    One query; its cost is bounded by `COUNTED`, not by the number of models.
    """
    few = rows.order_by().values("search__facets")[: COUNTED + 1]
    sql, params = few.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(_COUNT.format(hits=sql, limit=COUNTED, shown=SHOWN_VALUES), params)
        (_, total, *_), *found = cursor.fetchall()
    facets: dict[str, list[Count]] = {kind: [] for kind in FACETS}
    for label, n, _, owner in found:
        kind, _, value = label.partition(":")
        words = _words(kind, value, owner)
        facets[kind].append(Count(kind=kind, value=value, label=words, count=n))
    for kind in ("size", "opset"):
        facets[kind].sort(key=_natural)
    return Counts(total=min(total, COUNTED), more=total > COUNTED, facets=facets)


def _natural(one: Count) -> tuple[int, str]:
    return (int(one.value) if one.value.isdecimal() else -1, one.value)


def labels(pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return each (kind, value) in words; one query when there are signers among them."""
    signers = {value for kind, value in pairs if kind == "signer"}
    owners: dict[str, str] = {}
    if signers:
        found = Key.objects.filter(pk__in=signers, owner__isnull=False)
        owners = dict(found.values_list("pk", "owner__name"))
    return {(kind, value): _words(kind, value, owners.get(value)) for kind, value in pairs}


def _words(kind: str, value: str, owner: str | None) -> str:
    if kind == "size":
        return SIZES.get(value, value)
    if kind == "signer":
        return f"{owner or 'key'} {value[:8]}…"
    return value
