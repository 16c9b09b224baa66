"""The public log of moderation: its shapes and operations."""

from __future__ import annotations

from assay.bundle import MEDIA_TYPE
from config.openapi.terms import (
    COUNT,
    OBJECT,
    PAGED,
    SHA256,
    TEXT,
    TIME,
    Chapter,
    Schema,
    asked,
    described,
    maybe,
    more,
    one_of,
    op,
    pages,
    part,
    shape,
)
from registry.api import moderation
from registry.choices import Act, Category, ObjectionState, Standing, Target

_ACTION = shape(
    "What moderators did; `standing` is how the thing stood after it.",
    number=COUNT,
    act=one_of(Act),
    kind=one_of(Target),
    name=TEXT,
    sha256=described(SHA256, "Of the statement's subject."),
    standing=one_of(Standing),
    category=one_of(Category),
    reason=TEXT,
    acted_at=TIME,
    entry=COUNT,
    log=TEXT,
    index=maybe(COUNT),
    appeal=maybe(part("ModerationAppeal")),
    url=TEXT,
    bundle_url=TEXT,
)
SHAPES: dict[str, Schema] = {
    "ModerationAppeal": shape(
        "The appeal against an action, and another moderator's answer.",
        state=one_of(ObjectionState),
        answer=TEXT,
        made_at=TIME,
        decided_at=maybe(TIME),
    ),
    "ModerationLine": _ACTION,
    "ModerationAction": more(
        _ACTION, "An action with its signed statement.", statement=described(OBJECT, "DSSE.")
    ),
}
CHAPTERS = (
    Chapter(
        name="Moderation",
        words="What moderators hid, took down, suspended and undid; nobody moderates from here.",
        views={
            moderation.Actions: {
                "get": op(
                    *("listModeration", "Actions, newest first", pages(part("ModerationLine"))),
                    asked=(
                        asked("kind", "Those about one kind.", one_of(Target)),
                        asked("name", "Those about one thing, as statements call it."),
                        *PAGED,
                    ),
                ),
            },
            moderation.Action: {
                "get": op("getModeration", "One action", part("ModerationAction")),
            },
            moderation.Bundle: {
                "get": op(
                    *("getModerationBundle", "Its statement with the proof", OBJECT),
                    "not_included_yet log_damaged storage_away",
                    gives=MEDIA_TYPE,
                    raw=True,
                ),
            },
        },
    ),
)
