"""Uploads, models, revisions, cards, differences: their shapes and operations."""

from __future__ import annotations

from config.openapi.terms import (
    ANY,
    BYTES,
    COMMIT,
    COUNT,
    FLAG,
    ID,
    OBJECT,
    PAGED,
    SHA256,
    TEXT,
    TIME,
    Chapter,
    Schema,
    asked,
    described,
    header,
    many,
    mapping,
    maybe,
    more,
    one_of,
    op,
    pages,
    part,
    shape,
)
from registry.api import (
    cards,
    differences,
    gates,
    inspections,
    models,
    people,
    serializers,
    uploads as views,
    usage,
)
from registry.choices import AppealState, Gate, RevisionState, UploadState, Visibility

_MODEL = shape(
    "A model; `head` is its newest revision, `latest` the version of its newest release.",
    id=TEXT,
    owner=TEXT,
    name=TEXT,
    visibility=one_of(Visibility),
    head=maybe(COMMIT),
    latest=maybe(TEXT),
    created_at=TIME,
    updated_at=TIME,
)
_REVISION = shape(
    "A revision, as lists have it.",
    id=COMMIT,
    state=one_of(RevisionState),
    parent=maybe(COMMIT),
    author=TEXT,
    message=TEXT,
    created_at=TIME,
    manifest=SHA256,
    release=maybe(TEXT),
)
_FINDING = shape(
    "",
    ("path", "graph"),
    code=TEXT,
    level=TEXT,
    place=TEXT,
    remedy=TEXT,
    meaning=TEXT,
    help=described({"type": "string", "format": "uri"}, "Where the rule is explained."),
)
_FINDING["additionalProperties"] = True
_CHECKLIST = many(shape(key=TEXT, title=TEXT, why=TEXT, where=TEXT, done=FLAG))
_CHANGES = many(shape(name=TEXT, old=ANY, new=ANY))
_FILES = many(part("FileChange"))
_SIDE = shape(revision=COMMIT, manifest=SHA256, version=maybe(TEXT))

SHAPES: dict[str, Schema] = {
    "Upload": shape(
        "An upload; `missing` are the numbers of parts that are not here.",
        id=ID,
        state=one_of(UploadState),
        owner=TEXT,
        sha256=SHA256,
        size=COUNT,
        part_size=COUNT,
        direct=FLAG,
        parts=COUNT,
        missing=many(COUNT),
        error=ANY,
    ),
    "PartAddress": shape(
        "Where a part is sent.",
        number=COUNT,
        method=one_of(("PUT",)),
        url={"type": "string", "format": "uri"},
        size=COUNT,
        expires_at=TIME,
    ),
    "Usage": shape(
        owner=TEXT,
        bytes=shape(stored=COUNT, coming=COUNT, limit=COUNT),
        models=shape(used=COUNT, limit=COUNT),
        uploads=shape(used=COUNT, limit=COUNT),
    ),
    "Model": _MODEL,
    "ModelLine": more(
        _MODEL,
        "A model, as lists have it.",
        task=ANY,
        license=ANY,
        verified_executions=COUNT,
        downloads=COUNT,
    ),
    "ModelCounts": shape(
        "How many models match; with `more` the counts are of the first 1,000.",
        total=COUNT,
        more=FLAG,
        facets=mapping(many(shape(value=TEXT, label=TEXT, count=COUNT))),
    ),
    "ModelVisibility": more(_MODEL, gate=one_of(Gate), terms=TEXT),
    "RevisionLine": _REVISION,
    "Revision": more(
        _REVISION,
        "A revision whole.",
        model=TEXT,
        subject_digest=SHA256,
        files=many(shape(path=TEXT, sha256=SHA256, size=COUNT)),
        report=described(OBJECT, "What the inspection wrote down."),
        card=shape(metadata=OBJECT, body_html=TEXT),
        graph_path=TEXT,
    ),
    "ReleaseSigning": shape(
        "All that a publisher has to see and sign for a release.",
        observed=part("Observed"),
        model=TEXT,
        revision=COMMIT,
        manifest=SHA256,
        subject_digest=SHA256,
        resources=part("Resources"),
        files=many(shape(path=TEXT, sha256=SHA256)),
        card=shape(sha256=ANY, metadata=OBJECT),
        license=ANY,
        previous=ANY,
        next_version=TEXT,
    ),
    "Observed": described(OBJECT, "The newest checkpoint, as statements name it."),
    "Resources": many(shape(algorithm=one_of(("sha256",)), digest=SHA256, name=TEXT)),
    "Inspection": shape(
        "The scan report of a revision.",
        revision=COMMIT,
        state=one_of(RevisionState),
        word=TEXT,
        inspected_at=maybe(TIME),
        findings=many(_FINDING),
        graph=TEXT,
        graphs=OBJECT,
        facts=maybe(OBJECT),
        trial=ANY,
        limits=many(shape(rule=TEXT, what=TEXT, limit=ANY)),
        appeal=maybe(part("Appeal")),
    ),
    "Appeal": shape(
        state=one_of(AppealState),
        text=TEXT,
        answer=TEXT,
        created_at=TIME,
        answered_at=maybe(TIME),
    ),
    "CardCheck": shape(
        "",
        ("metadata", "body_html", "checklist"),
        errors=many(ANY),
        warnings=many(ANY),
        metadata=OBJECT,
        body_html=TEXT,
        checklist=_CHECKLIST,
    ),
    "Card": shape(
        revision=COMMIT,
        release=maybe(TEXT),
        text=TEXT,
        metadata=OBJECT,
        body_html=TEXT,
        warnings=many(ANY),
        checklist=_CHECKLIST,
    ),
    "Evaluation": shape(
        "A result that the revision claims, and whether an execution proves it.",
        file=TEXT,
        task=ANY,
        dataset=ANY,
        config=ANY,
        split=ANY,
        metric=ANY,
        value=ANY,
        date=ANY,
        notes=ANY,
        source=shape(name=ANY, url=ANY),
        state=one_of(("verified", "not_checked")),
        reason=maybe(TEXT),
        executions=many(TEXT),
        execution_count=COUNT,
        ran=ANY,
    ),
    "Lineage": shape(
        parents=many(shape(name=TEXT, model=maybe(TEXT))),
        relation=ANY,
        children=many(shape(model=TEXT, relation=maybe(TEXT))),
    ),
    "FileChange": shape(path=TEXT, old=maybe(part("FileState")), new=maybe(part("FileState"))),
    "FileState": shape(sha256=SHA256, size=COUNT),
    "Differences": shape(
        "What changed from one revision to another; `texts` only where it was asked for.",
        ("texts",),
        **{"from": _SIDE, "to": _SIDE},
        same_content=FLAG,
        files=shape(added=_FILES, removed=_FILES, changed=_FILES, unchanged=COUNT),
        graph=maybe(
            shape(
                operators=_CHANGES,
                inputs=_CHANGES,
                outputs=_CHANGES,
                opsets=_CHANGES,
                facts=_CHANGES,
            )
        ),
        card=_CHANGES,
        texts=many(shape(path=TEXT, diff=TEXT, cut=FLAG)),
    ),
}

_LENGTH = header("Content-Length", "The number of bytes.", required=True)
_DIGEST = header("Content-Digest", "`sha-256=:<base64>:` (RFC 9530).", required=True)
_TRUE = one_of(("1", "true"))
_FACETS = tuple(
    asked(name, f"Only models of this {words}; may be repeated.", many(TEXT))
    for name, words in (
        ("task", "task"),
        ("license", "licence"),
        ("library", "library"),
        ("language", "language"),
        ("tag", "tag"),
        ("opset", "version of the operator set"),
        ("size", "class of size"),
        ("runnable", "kind of executor that runs them"),
        ("signer", "key that signed a release"),
        ("owner", "owner"),
        ("operator", "operator in the graph"),
    )
)
_SEARCH = (
    asked("q", "Words that must occur."),
    asked("search", "The same."),
    *_FACETS,
    asked("released", "Leave out drafts.", _TRUE),
    asked("mine", "Only one's own and one's organisations'.", _TRUE),
    asked("sort", "The order.", one_of(("new", "name", "verified", "relevance"))),
    asked("facets", "Add `counts`.", _TRUE),
    *PAGED,
)
_REVISION_ASKED = asked("revision", "A revision's id; by default the newest release's.")
_SIDE_WORDS = "A version, an alias or a revision's id."

UPLOADS = Chapter(
    name="Uploads",
    words="Content by its digest, in parts: in any order, several at a time, resumable.",
    views={
        usage.Usage: {
            "get": op("getUsage", "What an owner has and may have", part("Usage"), "not_allowed"),
        },
        views.Uploads: {
            "get": op("listUploads", "Your unfinished uploads", pages(part("Upload")), asked=PAGED),
            "post": op(
                *("declareUpload", "Declare content"),
                {
                    200: shape(state=one_of(("stored",)), sha256=SHA256),
                    201: part("Upload"),
                },
                "too_large too_many store_away unknown_model moved",
                body=serializers.UploadIn,
            ),
        },
        views.Upload: {
            "get": op("getUpload", "One upload", part("Upload")),
            "delete": op("discardUpload", "Forget an upload", None, "conflict store_away"),
        },
        views.Part: {
            "put": op(
                *("putPart", "Send a part"),
                shape(number=COUNT, received=FLAG),
                "digest_mismatch length_required conflict store_away",
                body={"type": "string", "format": "binary"},
                sends=BYTES,
                asked=(_LENGTH, _DIGEST),
            ),
        },
        views.Content: {
            "put": op(
                *("putContent", "Send the whole", part("Upload")),
                "digest_mismatch length_required conflict store_away",
                body={"type": "string", "format": "binary"},
                sends=BYTES,
                asked=(_LENGTH,),
            ),
        },
        views.Addresses: {
            "post": op(
                *("getPartAddresses", "Where parts go that go to the object store"),
                shape(addresses=many(part("PartAddress"))),
                "conflict store_away",
                body=serializers.PartsIn,
            ),
        },
        views.Completion: {
            "post": op(
                *("completeUpload", "All parts are there", {202: part("Upload")}),
                "conflict store_away",
            ),
        },
    },
)
MODELS = Chapter(
    name="Models",
    words="Models, who may know of them, their revisions and what the inspection found.",
    views={
        models.Models: {
            "get": op(
                *("listModels", "Find models"),
                {
                    **pages(part("ModelLine"), counts=part("ModelCounts")),
                    "required": ["items", "next"],
                },
                asked=_SEARCH,
            ),
            "post": op(
                *("createModel", "Make a model", {201: part("Model")}),
                "name_taken too_many unknown_owner",
                body=serializers.ModelIn,
            ),
        },
        models.Model: {
            "get": op("getModel", "One model", part("Model")),
            "delete": op("deleteModel", "Delete a model", None, "conflict", body=people.ClosingIn),
        },
        gates.VisibilityView: {
            "get": op(
                "getVisibility", "Who may know of it", part("ModelVisibility"), "not_allowed"
            ),
            "put": op(
                *("setVisibility", "Say who may know of it", part("ModelVisibility")),
                "conflict",
                body=people.VisibilityIn,
            ),
        },
        models.Revisions: {
            "get": op(
                "listRevisions", "Revisions of a model", pages(part("RevisionLine")), asked=PAGED
            ),
            "post": op(
                *("commit", "Make a revision", {201: part("Revision")}),
                "conflict refused_file unknown_file too_large store_away",
                body=serializers.RevisionIn,
            ),
        },
        models.Revision: {
            "get": op("getRevision", "One revision", part("Revision")),
        },
        models.Signing: {
            "get": op(
                *("getReleaseSigning", "What to sign for a release", part("ReleaseSigning")),
                "not_allowed not_inspected log_busy storage_away",
            ),
        },
        inspections.Inspection: {
            "get": op("getInspection", "The scan report", part("Inspection")),
        },
        inspections.AppealView: {
            "get": op("getAppeal", "The newest appeal", part("Appeal"), "unknown_appeal"),
            "post": op(
                *("appeal", "Ask a moderator to look", {201: part("Appeal")}),
                "conflict",
                body=inspections.AppealIn,
            ),
        },
        differences.Differences: {
            "get": op(
                *("compareRevisions", "What changed", part("Differences")),
                "unknown_revision gated hidden not_allowed store_away",
                asked=(
                    asked("from", _SIDE_WORDS, required=True),
                    asked("to", _SIDE_WORDS, required=True),
                    asked("text", "Add diffs of small text files.", one_of(("1",))),
                ),
            ),
        },
    },
)
CARDS = Chapter(
    name="Cards",
    words="What a publisher says about a model, and what is known of it.",
    views={
        cards.Check: {
            "post": op(
                "checkCard", "Check the text of a card", part("CardCheck"), body=cards.CheckIn
            ),
        },
        cards.Card: {
            "get": op(
                *("getCard", "The card", part("Card"), "unknown_revision store_away"),
                asked=(_REVISION_ASKED,),
            ),
            "patch": op(
                *("editCard", "Edit the card", part("Card")),
                "unknown_revision conflict refused_file too_large store_away",
                body=cards.EditIn,
            ),
        },
        cards.Evaluations: {
            "get": op(
                *("listEvaluations", "Results, and what proves them"),
                pages(part("Evaluation"), unread=many(shape(file=TEXT, error=TEXT))),
                "store_away",
            ),
        },
        cards.Lineage: {
            "get": op(
                *("getLineage", "Base models, and models made from it", part("Lineage")),
                "unknown_revision",
                asked=(_REVISION_ASKED,),
            ),
        },
    },
)
CHAPTERS = (UPLOADS, MODELS, CARDS)
