"""What drf-spectacular asks of each view, answered from the tables and from the view itself.

The tables say what nothing else does. Description, security, path parameters, the shape of bodies
that serializers read, and most problem codes come from the view.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from http import HTTPStatus
from typing import Any

import uritemplate
from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework.permissions import AllowAny, IsAuthenticated

from config.openapi import (
    contents,
    ledger,
    moderation,
    people,
    problems,
    releases,
    runs,
    standing,
)
from config.openapi.terms import Chapter, Op, Schema
from registry.api.rest import READS, RestView

PREFIX = "/api/v1/"
CHAPTERS: tuple[Chapter, ...] = (
    *contents.CHAPTERS,
    *releases.CHAPTERS,
    *people.CHAPTERS,
    *runs.CHAPTERS,
    *standing.CHAPTERS,
    *moderation.CHAPTERS,
    *ledger.CHAPTERS,
)
SHAPES: dict[str, Schema] = {
    **problems.SHAPES,
    **contents.SHAPES,
    **releases.SHAPES,
    **people.SHAPES,
    **runs.SHAPES,
    **standing.SHAPES,
    **moderation.SHAPES,
    **ledger.SHAPES,
}
HEADERS = {
    "ETag": "The digest of this answer, for `If-None-Match` and `If-Match`.",
    "Link": "The next page, as `rel=next`; it is not there on the last one.",
    "RateLimit": "How many calls are left, and after how many seconds all are back.",
    "RateLimit-Policy": "How many calls in how many seconds.",
    "X-Request-Id": "The id of this call: yours when it was well formed.",
}


class TokenScheme(OpenApiAuthenticationExtension):
    """An API token, as `registry.api.auth` takes it."""

    target_class = "registry.api.auth.TokenAuthentication"
    name = "token"

    def get_security_definition(self, _: AutoSchema) -> dict[str, Any]:
        """Return the scheme."""
        words = "`Authorization: Bearer assay_…`; make one under Settings, API tokens."
        return {"type": "http", "scheme": "bearer", "description": words}


class SessionScheme(OpenApiAuthenticationExtension):
    """The session of the site's own pages."""

    target_class = "rest_framework.authentication.SessionAuthentication"
    name = "session"
    priority = 1

    def get_security_definition(self, _: AutoSchema) -> dict[str, Any]:
        """Return the scheme."""
        words = "The cookie of the pages. What writes needs `X-CSRFToken` too."
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": words,
        }


@cache
def operations() -> dict[tuple[type, str], tuple[Chapter, Op]]:
    """Return what the tables say, by view and method."""
    return {
        (view, method): (chapter, one)
        for chapter in CHAPTERS
        for view, methods in chapter.views.items()
        for method, one in methods.items()
    }


class Operation(AutoSchema):
    """The operation of one method of one view."""

    @property
    def _told(self) -> tuple[Chapter, Op]:
        return operations()[type(self.view), self.method.lower()]

    def is_excluded(self) -> bool:
        """Leave out what is no part of the REST API."""
        return not self.path.startswith(PREFIX)

    def get_operation_id(self) -> str:
        """Return the name of the table."""
        return self._told[1].id

    def get_summary(self) -> str:
        """Return the title of the table."""
        return self._told[1].summary

    def get_tags(self) -> list[str]:
        """Return the chapter."""
        return [self._told[0].name]

    def get_auth(self) -> list[dict[str, Any]]:
        """Return who may call; what is not for accounts alone may be called by nobody too."""
        found = [one for one in super().get_auth() if one]
        writes = self.method not in READS
        kinds = self.view.permission_classes
        open_ = AllowAny in kinds or (not writes and IsAuthenticated not in kinds)
        return [*found, {}] if open_ else found

    def get_response_serializers(self) -> None:
        """Return none: answers are not made by serializers."""

    def get_override_parameters(self) -> list[Any]:
        """Return the query and the headers."""
        asked = self._told[1].asked
        if isinstance(asked, type):
            return [asked]
        found = [
            OpenApiParameter(
                name=one.name,
                type=deepcopy(one.schema),
                location=one.place,  # type: ignore[arg-type]  # "query" or "header"
                required=one.required,
                description=one.words,
            )
            for one in asked
        ]
        return [*found, *self._conditions()]

    def _conditions(self) -> list[OpenApiParameter]:
        if not (isinstance(self.view, RestView) and self.view.tagged):
            return []
        if self.method == "GET" and not self._told[1].raw:
            return [_condition("If-None-Match", "Answer 304 while the ETag is still this one.")]
        if self.method in ("PUT", "PATCH", "DELETE") and hasattr(self.view, "get"):
            return [_condition("If-Match", "Do it only while GET here has this ETag.")]
        return []

    def _resolve_path_parameters(self, variables: list[str]) -> list[dict[str, Any]]:
        found = super()._resolve_path_parameters(variables)  # type: ignore[no-untyped-call]  # it has no types
        for one in found:
            one["description"] = problems.PLACES[one["name"]][0]
        return list(found)

    def _get_request_body(self, direction: str = "request") -> dict[str, Any] | None:
        one = self._told[1]
        if one.body is None:
            return None
        if isinstance(one.body, dict):
            schema = one.body
        else:
            schema = self.resolve_serializer(one.body, "request").ref
        return {"content": {one.sends: {"schema": schema}}, "required": not one.optional}

    def _get_response_bodies(self, direction: str = "response") -> dict[str, Any]:
        one = self._told[1]
        answers = {str(status): self._answer(status, one) for status in one.answers}
        if self.method == "GET" and self._has_etag():
            answers["304"] = {"description": "It is as you know it.", "headers": self._headers()}
        variables = uritemplate.variables(self.path)
        by_status = problems.codes_of(self.view, self.method, variables, one)
        for status, codes in sorted(by_status.items()):
            name = problems.name_of(status, codes)
            answers[str(status)] = {"$ref": f"#/components/responses/{name}"}
        return answers

    def _answer(self, status: int, one: Op) -> dict[str, Any]:
        schema = one.answers[status]
        headers = self._headers()
        if schema is not None and {"items", "next"} <= schema.get("properties", {}).keys():
            headers |= _header("Link")
        answer: dict[str, Any] = {"description": HTTPStatus(status).phrase, "headers": headers}
        if schema is not None:
            answer["content"] = {one.gives: {"schema": deepcopy(schema)}}
        return answer

    def _headers(self) -> dict[str, Any]:
        names = ["X-Request-Id"]
        if self.view.get_throttles():
            names += ["RateLimit", "RateLimit-Policy"]
        if self.method == "GET" and self._has_etag():
            names.append("ETag")
        found: dict[str, Any] = {}
        for name in names:
            found |= _header(name)
        return found

    def _has_etag(self) -> bool:
        tagged = isinstance(self.view, RestView) and self.view.tagged
        return tagged and not self._told[1].raw


def _header(name: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"}}


def _condition(name: str, words: str) -> OpenApiParameter:
    return OpenApiParameter(
        name=name, type=str, location=OpenApiParameter.HEADER, description=words
    )


def complete(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add what operations refer to by name: shapes, headers, problems, and the chapters."""
    components = result["components"]
    components["schemas"] = dict(sorted({**components["schemas"], **deepcopy(SHAPES)}.items()))
    components["headers"] = {
        name: {"description": words, "schema": {"type": "string"}}
        for name, words in HEADERS.items()
    }
    used = {
        answer["$ref"].rpartition("/")[2]
        for methods in result["paths"].values()
        for operation in methods.values()
        for answer in operation["responses"].values()
        if "$ref" in answer
    }
    components["responses"] = {name: problems.answer_of(name) for name in sorted(used)}
    result["tags"] = [{"name": one.name, "description": one.words} for one in CHAPTERS]
    return result
