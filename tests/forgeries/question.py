"""One question to a verifier, and what the answer must be."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.forgeries.lies import OK


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """`kind`, `data`, `fields` and `options` as the head of tests/js/verdict.mjs describes them.

    `name` is unique: the artefact, a full stop in a path before the field, and the lie in words.
    """

    name: str
    kind: str
    data: bytes
    family: str
    fields: Mapping[str, bytes] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """Return the question as one line of JSON."""
        held = {"data": self.data, **self.fields}
        return json.dumps(
            {
                "id": self.name,
                "kind": self.kind,
                "options": dict(self.options),
                **{name: base64.b64encode(data).decode() for name, data in held.items()},
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Asks the same question about many artefacts."""

    artefact: str
    kind: str
    fields: Mapping[str, bytes] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def ask(self, name: str, data: bytes, family: str, **changed: Any) -> Question:
        """Ask about `data`; `changed` are fields (bytes) and options, None leaves one out."""
        fields, options = dict(self.fields), dict(self.options)
        for key, value in changed.items():
            home: dict[str, Any] = fields if key in fields else options
            if value is None:
                home.pop(key)
            elif isinstance(value, bytes):
                fields[key] = value
            else:
                options[key] = value
        return Question(
            name=f"{self.artefact}: {name}",
            kind=self.kind,
            data=data,
            family=family,
            fields=fields,
            options=options,
        )

    def honest(self, data: bytes, name: str = "honest", **changed: Any) -> Question:
        """Ask about what must be accepted."""
        return self.ask(name, data, OK, **changed)

    def about(self, lies: Iterable[tuple[str, bytes, str]]) -> Iterator[Question]:
        """Ask about each of `lies`, (name, bytes, family)."""
        for name, data, family in lies:
            yield self.ask(name, data, family)
