"""`/api/v1/ledger/`: its shapes and operations."""

from __future__ import annotations

from config.openapi.terms import (
    ANY,
    COUNT,
    FLAG,
    NUMBER,
    OBJECT,
    SHA256,
    TEXT,
    TIME,
    Chapter,
    Schema,
    described,
    many,
    maybe,
    more,
    one_of,
    op,
    part,
    shape,
)
from ledger.api import views
from ledger.api.serializers import EntriesQuery, LogQuery, PageQuery
from ledger.choices import Kind

_ENTRY = shape(
    "An entry of the log, as lists have it; `index` is null while it is pending.",
    index=maybe(COUNT),
    kind=one_of(Kind),
    model=TEXT,
    owner=TEXT,
    fingerprint=SHA256,
    created_at=TIME,
    payload=described(SHA256, "SHA-256 of the PAE, the address of the envelope."),
    leaf_hash=SHA256,
    summary=TEXT,
)
_EDGES = {"next_before": maybe(COUNT), "next_after": maybe({"type": "integer", "minimum": -1})}

SHAPES: dict[str, Schema] = {
    "LedgerHead": shape(
        "The newest published checkpoint, and whether anything is logged now.",
        origin=TEXT,
        size=COUNT,
        root=SHA256,
        witnesses=COUNT,
        quorum=COUNT,
        signed_at=TIME,
        age_s=NUMBER,
        state=one_of(("leading", "held", "stopped", "absent")),
        reason=TEXT,
        note=TEXT,
    ),
    "LedgerEntry": _ENTRY,
    "LedgerEntryWhole": more(
        _ENTRY,
        "An entry with statement, envelope, and bundle (null until a checkpoint covers it).",
        log=TEXT,
        statement=OBJECT,
        subjects=many(shape(name=TEXT, sha256=SHA256)),
        envelope=part("Envelope"),
        bundle=maybe(part("Bundle")),
    ),
    "Envelope": shape(
        "DSSE, in its JSON form.",
        payload=TEXT,
        payloadType=TEXT,
        signatures=many(OBJECT),
    ),
    "Bundle": described(OBJECT, "A Sigstore bundle, version 0.3."),
    "Checkpoint": shape(
        size=COUNT,
        root=SHA256,
        signed_at=TIME,
        published_at=TIME,
        cosignatures=many(shape(witness=TEXT, key_id=TEXT, time=TIME)),
    ),
    "Log": shape(
        "A log of this site; `current` says whether new entries go there.",
        origin=TEXT,
        vkey=TEXT,
        url=TEXT,
        size=COUNT,
        frozen_at=maybe(TIME),
        successor=ANY,
        current=FLAG,
    ),
}

CHAPTERS = (
    Chapter(
        name="Ledger",
        words="For finding what was logged. What these answers say is no evidence; the bundle is.",
        views={
            views.HeadView: {
                "get": op("getLedgerHead", "The newest checkpoint", part("LedgerHead"), "log_busy"),
            },
            views.EntriesView: {
                "get": op(
                    *("listLedgerEntries", "Find entries"),
                    shape(
                        entries=many(part("LedgerEntry")),
                        pending=many(part("LedgerEntry")),
                        **_EDGES,
                    ),
                    "unknown_log",
                    asked=EntriesQuery,
                ),
            },
            views.EntryView: {
                "get": op(
                    *("getLedgerEntry", "One entry", part("LedgerEntryWhole")),
                    "unknown_log storage_away log_damaged",
                    asked=LogQuery,
                ),
            },
            views.ClaimView: {
                "get": op(
                    *("findClaim", "The entry of a claim", part("LedgerEntryWhole")),
                    "storage_away log_damaged",
                ),
            },
            views.CheckpointsView: {
                "get": op(
                    *("listCheckpoints", "Published checkpoints"),
                    shape(checkpoints=many(part("Checkpoint")), **_EDGES),
                    "unknown_log",
                    asked=PageQuery,
                ),
            },
            views.LogsView: {
                "get": op("listLogs", "The logs of this site", shape(logs=many(part("Log")))),
            },
        },
    ),
)
