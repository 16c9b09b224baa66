"""`/api/v1/models/…/card` and what belongs to it: checks, fields, results, lineage."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from registry import lineage, selectors
from registry.api.base import AccountView, PublicView, account, caller, find_model, read
from registry.errors import InvalidInputError, UnknownRevisionError
from registry.models import Model, Revision
from registry.rights import Caller
from registry.services import card_edit, card_fields, cards, evaluations
from registry.services.cards_checklist import checklist
from registry.services.evaluations_checked import Checked, check

MAX_BODY = cards.MAX_BYTES


class _Text(serializers.CharField):
    """A text whose white space is part of its bytes."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=MAX_BODY, trim_whitespace=False, allow_blank=True, **kwargs)


class CheckIn(serializers.Serializer[Any]):
    """`POST cards/check`."""

    content = _Text()


class EditIn(serializers.Serializer[Any]):
    """`PATCH …/card`: the whole text, or fields and perhaps the Markdown."""

    text = _Text(required=False, allow_null=True, default=None)
    body = _Text(required=False, allow_null=True, default=None)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        # `parent` and `fields` are attributes of every serializer: not to be declared by name.
        changed = serializers.DictField(
            child=serializers.CharField(max_length=4_096, allow_blank=True), default=dict
        )
        parent = serializers.RegexField(r"\A[0-9a-f]{40}\Z")
        return {**super().get_fields(), "parent": parent, "fields": changed}


def missing(metadata: dict[str, Any], body: str) -> list[dict[str, Any]]:
    """Return the checklist of a card."""
    return [
        {
            "key": item.key,
            "title": item.title,
            "why": item.why,
            "where": item.where,
            "done": item.done,
        }
        for item in checklist(metadata, body)
    ]


def evaluation(row: Checked) -> dict[str, Any]:
    """Return a result of an evaluation, and whether an execution proves it."""
    result = row.result
    return {
        "file": result.place,
        "task": result.task or None,
        "dataset": result.dataset or None,
        "config": result.config or None,
        "split": result.split or None,
        "metric": result.metric,
        "value": result.value,
        "date": result.date or None,
        "notes": result.notes or None,
        "source": {"name": result.source_name or None, "url": result.source_url or None},
        "state": str(row.state),
        "reason": row.reason or None,
        "executions": list(row.executions),
        "execution_count": row.count,
        "ran": row.ran or None,
    }


def _shown_revision(request: Request, model: Model, user: Caller) -> Revision:
    """Return the revision that `?revision=` names, else the newest release's, else the head."""
    asked = request.query_params.get("revision", "")
    if not asked:
        newest = selectors.newest_release(model)
        asked = newest.revision_id if newest else (model.head_id or "")
    if not asked:
        raise UnknownRevisionError(f"{model.full_name} has no revision yet.", revision="")
    return selectors.find_revision(model, asked, user)


class Check(AccountView):
    """Read the text of a README.md as a commit would, and store nothing."""

    def post(self, request: Request) -> Response:
        found = cards.validate(read(CheckIn, request)["content"])
        body: dict[str, Any] = {"errors": list(found.errors), "warnings": list(found.warnings)}
        if found.card is not None:
            card = found.card
            body |= {
                "metadata": card.metadata,
                "body_html": cards.render(card.body),
                "checklist": missing(card.metadata, card.body),
            }
        return Response(body)


class Card(PublicView):
    """The card of a revision: raw text, what was read from it, what is missing; or edit it."""

    def get(self, request: Request, owner: str, name: str) -> Response:
        model = find_model(request, owner, name)
        return Response(_card(_shown_revision(request, model, caller(request))))

    def patch(self, request: Request, owner: str, name: str) -> Response:
        model = find_model(request, owner, name)
        user = account(request)
        given = read(EditIn, request)
        revision = selectors.find_revision(model, given["parent"], user)
        fields = given["fields"]
        unknown = sorted(fields.keys() - card_fields.BY_KEY.keys())
        if unknown:
            known = ", ".join(card_fields.BY_KEY)
            raise InvalidInputError(
                f"'{unknown[0][:80]}' is no field of the form. The fields are {known}; edit "
                "other keys in the text.",
                field="fields",
            )
        if given["text"] is None:
            saved = card_edit.save_fields(user, revision, fields, given["body"])
        elif fields or given["body"] is not None:
            raise InvalidInputError("Send the text, or fields and body.", field="text")
        else:
            saved = card_edit.save(user, revision, given["text"])
        return Response(_card(selectors.find_revision(model, saved.pk, user)))


def _card(revision: Revision) -> dict[str, Any]:
    text = card_edit.read(revision).decode("utf-8", "replace")
    released = getattr(revision, "release", None)
    return {
        "revision": revision.pk,
        "release": released.version if released else None,
        "text": text,
        "metadata": revision.card_metadata,
        "body_html": cards.render(revision.card_body),
        "warnings": list(cards.validate(text).warnings),
        "checklist": missing(revision.card_metadata, revision.card_body),
    }


class Evaluations(PublicView):
    """The results that a revision claims, each with what is known of it."""

    def get(self, request: Request, owner: str, name: str, revision: str) -> Response:
        model = find_model(request, owner, name)
        found = selectors.find_revision(model, revision, caller(request))
        files = evaluations.files(found)
        rows = check(found, evaluations.results(found, files))
        broken = [file for file in files if file.error]
        return Response(
            {
                "items": [evaluation(row) for row in rows],
                "next": "",
                "unread": [{"file": file.name, "error": file.error} for file in broken],
            }
        )


class Lineage(PublicView):
    """What the shown card names as its base, and whose shown cards name this model."""

    def get(self, request: Request, owner: str, name: str) -> Response:
        model, user = find_model(request, owner, name), caller(request)
        revision = _shown_revision(request, model, user)
        return Response(
            {
                "parents": [
                    {"name": row.name, "model": row.model or None}
                    for row in lineage.parents(revision.card_metadata, user)
                ],
                "relation": revision.card_metadata.get("base_model_relation"),
                "children": [
                    {"model": row.model, "relation": row.relation or None}
                    for row in lineage.children(model, user)
                ],
            }
        )
