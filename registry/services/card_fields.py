"""The fields of the card's form: what each key is, what stands in a card, what a form says of it.

The list is the Hub's, of the keys whose values are texts or lists of texts; all other keys are the
publisher's own and stay in the file as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from registry import card_rules

Value = str | list[str]
RELATIONS = ("adapter", "finetune", "merge", "quantized")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A key of the metadata. `many`: a list of texts. `choices`: ids to pick from, or none."""

    key: str
    label: str
    hint: str
    many: bool = False
    choices: tuple[str, ...] = ()


FIELDS = (
    Field(
        key="license",
        label="Licence",
        hint="What others may do with the model. 'other' needs the next two.",
        choices=tuple(sorted(card_rules.LICENSES)),
    ),
    Field(key="license_name", label="Name of the other licence", hint="Only for 'other'."),
    Field(
        key="license_link",
        label="Where that licence stands",
        hint="An address, or a file of the model such as LICENSE.",
    ),
    Field(
        key="language",
        label="Languages",
        hint="Codes of ISO 639, such as en, fr; 'code' and 'multilingual' are taken too.",
        many=True,
    ),
    Field(
        key="pipeline_tag",
        label="Task",
        hint="What the model does, in the Hub's words.",
        choices=tuple(sorted(card_rules.PIPELINE_TAGS)),
    ),
    Field(key="library_name", label="Library", hint="What it was made with or for, such as onnx."),
    Field(key="tags", label="Tags", hint="Separated by commas.", many=True),
    Field(
        key="base_model",
        label="Base models",
        hint="What it was made from, as owner/name; those that are here are linked.",
        many=True,
    ),
    Field(
        key="base_model_relation",
        label="How it was made from them",
        hint="",
        choices=RELATIONS,
    ),
    Field(
        key="datasets",
        label="Datasets",
        hint="What it was trained on, as owner/name or a name.",
        many=True,
    ),
    Field(key="metrics", label="Metrics", hint="How it was measured, such as accuracy.", many=True),
    Field(
        key="new_version",
        label="Newer model",
        hint="owner/name of the model that replaces this one, if there is one.",
    ),
)
BY_KEY = {field.key: field for field in FIELDS}


def shown(field: Field, metadata: Mapping[str, Any]) -> str | None:
    """Return what a form shows for the key; None when its value is no text and no list of texts.

    Such a value is left to those who edit the file as text.
    """
    value = metadata.get(field.key)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if field.many and isinstance(value, list) and all(_listable(item) for item in value):
        return ", ".join(value)
    return None


def _listable(item: Any) -> bool:
    return isinstance(item, str) and "," not in item and item == item.strip() != ""


def changes(metadata: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Value | None]:
    """Return what `given`, a form's fields, changes in `metadata`; None removes the key.

    A field that shows what the card says changes nothing, however that is written there.
    """
    found: dict[str, Value | None] = {}
    for field in FIELDS:
        before = shown(field, metadata)
        if field.key not in given or before is None:
            continue
        text = given[field.key].strip()
        if field.many:
            words = list(dict.fromkeys(words_of(text)))
            if words != words_of(before):
                found[field.key] = words or None
        elif text != before.strip():
            found[field.key] = text or None
    return found


def words_of(text: str) -> list[str]:
    """Return the words between the commas of `text`."""
    return [word for part in text.split(",") if (word := part.strip())]


def texts(value: Any) -> list[str]:
    """Return the texts in a value that is one or a list of them; of anything else none."""
    items: Iterable[Any] = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str) and item]
