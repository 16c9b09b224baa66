"""Executions, batches, replays, traces: their shapes and operations."""

from __future__ import annotations

from config.openapi.terms import (
    ANY,
    BASE64,
    COUNT,
    CURSOR,
    FLAG,
    ID,
    NUMBER,
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
from inference.api import events, kept, replays, traces, views
from inference.choices import (
    ExecutionState,
    ExecutorKind,
    ReplaySource,
    ReplayState,
    TraceState,
    Verdict,
)

PAIR = shape("In hex.", input=TEXT, output=TEXT)
_SET = shape("", ("commitment",), sha256=maybe(SHA256), commitment=maybe(TEXT), url=TEXT)
_EXECUTION = shape(
    "An execution without tensors.",
    id=ID,
    state=one_of(ExecutionState),
    url=TEXT,
    page_url=TEXT,
    model=TEXT,
    version=TEXT,
    revision=TEXT,
    manifest=SHA256,
    executor_kind=one_of(ExecutorKind),
    batch=maybe(ID),
    retry_of=maybe(ID),
    attempts=COUNT,
    created_at=TIME,
    deadline=maybe(TIME),
    finished_at=maybe(TIME),
    cancel_requested_at=maybe(TIME),
    run_ms=maybe(NUMBER),
    private=FLAG,
    disclosed_at=maybe(TIME),
    kept_until=maybe(TIME),
    dropped_at=maybe(TIME),
    input=part("TensorSet"),
    output=maybe(part("TensorSet")),
    receipt=maybe(described(TEXT, "The signed statement, in compact form.")),
    receipt_url=maybe(TEXT),
    executor=maybe(TEXT),
    error=maybe(shape(code=TEXT, message=TEXT)),
)
WISHES: Schema = {
    "model": described(TEXT, "`owner/name`."),
    "version": described(maybe(TEXT), "A version, an alias or a revision."),
    "outputs": maybe(many({"anyOf": [TEXT, shape(name=TEXT)]})),
    "executor": maybe(one_of(ExecutorKind)),
    "webhook": described(maybe(TEXT), "The id of one of your webhooks."),
}
_MORE: Schema = {
    "private": maybe(FLAG),
    "priority": maybe({"type": "integer", "minimum": 1, "maximum": 1000}),
    "deadline_s": maybe({"type": "integer", "minimum": 1}),
    "keep": described(maybe(COUNT), "For how many seconds the tensors are kept."),
}
_FREE = (*(name for name in WISHES if name != "model"), *_MORE)
_INPUTS = many(part("TensorIn"))
TENSOR: Schema = {
    "name": TEXT,
    "datatype": TEXT,
    "shape": many(COUNT),
}

SHAPES: dict[str, Schema] = {
    "TensorSet": _SET,
    "Execution": _EXECUTION,
    "ExecutionWhole": more(
        {**_EXECUTION, "required": [*_EXECUTION["required"]]},
        "An execution with its outputs, null where there are none, or none for the caller.",
        outputs=maybe(many(part("TensorOut"))),
    ),
    "TensorIn": {
        **shape("As in the Open Inference Protocol.", **TENSOR, data=many(ANY)),
        "additionalProperties": True,
    },
    "TensorOut": shape(
        "`data` is null where JSON cannot carry it.", **TENSOR, data=maybe(many(ANY))
    ),
    "ExecutionIn": shape("", _FREE, **WISHES, **_MORE, inputs=_INPUTS),
    "BatchIn": shape(
        "",
        _FREE,
        **WISHES,
        **_MORE,
        items=many(shape(inputs=_INPUTS), maxItems=1000),
    ),
    "BatchTaken": shape(
        batch=ID,
        url=TEXT,
        items=many(shape(id=ID, state=one_of(ExecutionState), url=TEXT)),
    ),
    "Batch": shape(
        "How many executions of a batch stand in each state.",
        id=ID,
        total=COUNT,
        states=mapping(COUNT),
    ),
    "OpeningIn": shape("Needed when the tensors were dropped.", salts=PAIR, digests=PAIR),
    "Replay": shape(
        "A replay; `entry` is null until it is logged.",
        id=TEXT,
        execution=ID,
        source=one_of(ReplaySource),
        state=one_of(ReplayState),
        verdict=maybe(one_of(Verdict)),
        auditor=maybe(TEXT),
        runtime=ANY,
        output=maybe(TEXT),
        first_divergence=ANY,
        reason=maybe(TEXT),
        entry=maybe(shape(log=TEXT, index=maybe(COUNT))),
        created_at=TIME,
        finished_at=maybe(TIME),
    ),
    "ReplayIn": shape(envelope=part("Envelope"), key=SHA256),
    "AuditRound": shape(
        "A round in which lots were drawn.",
        log=TEXT,
        start=COUNT,
        end=COUNT,
        rate=COUNT,
        seed=TEXT,
        checkpoint=shape(size=COUNT, time=TIME, note=BASE64),
        executions=COUNT,
        drawn=COUNT,
        done=COUNT,
        created_at=TIME,
    ),
    "Trace": shape(
        "A digest for each step of a run.",
        id=ID,
        execution=ID,
        state=one_of(TraceState),
        url=TEXT,
        trace_url=maybe(TEXT),
        executor=maybe(TEXT),
        runtime=ANY,
        digest=maybe(SHA256),
        nodes=maybe(COUNT),
        end=maybe(shape(verdict=TEXT, detail=ANY)),
        error=maybe(shape(code=TEXT, message=TEXT)),
        created_at=TIME,
        finished_at=maybe(TIME),
    ),
    "TraceComparison": shape(
        "`first` is the node at which they part, null when they are the same.",
        verdict=TEXT,
        same_runtime=FLAG,
        nodes=COUNT,
        differing=COUNT,
        origins=ANY,
        first=maybe(OBJECT),
        values=many(ANY),
        blind=ANY,
    ),
}
# The salts of a private execution come with it alone, to its caller or once it is disclosed.
SHAPES["ExecutionWhole"]["properties"]["salts"] = maybe({**PAIR, "required": []})

_PREFER = header("Prefer", "`wait=<seconds>` (at most 50): wait for the end.")
_KEY = header("Idempotency-Key", "A repetition answers with the same execution.")
_CANCEL = header("Cancel-After", "Such as `90` or `15m`: shortens the deadline.")
_LAST = header("Last-Event-ID", "Go on after this event.")
_PLANNED = (
    "bad_request bad_tensor not_offered not_runnable account_needed no_graph not_released gated"
    " hidden taken_down"
    " unknown_model unknown_revision unknown_webhook idempotency_mismatch still_running ended"
    " too_large executor_away moved not_inspected"
)
_STREAM = "text/event-stream"
_EVENT = shape("Each event; `data` is JSON.", ("id",), id=TEXT, event=TEXT, data=TEXT)
_QUEUED: dict[int, Schema | None] = {200: part("ExecutionWhole"), 202: part("Execution")}

EXECUTIONS = Chapter(
    name="Executions",
    words="Runs of models, each with a signed receipt. Whoever may have the files may run it.",
    views={
        views.Executions: {
            "get": op(
                *("listExecutions", "Executions", pages(part("Execution"))),
                asked=(
                    asked("model", "`owner/name`."),
                    asked("state", "Only those in it.", one_of(ExecutionState)),
                    asked("batch", "Only those of a batch."),
                    CURSOR,
                ),
            ),
            "post": op(
                *("execute", "Run a model, once or in a batch"),
                {
                    200: part("ExecutionWhole"),
                    202: {"anyOf": [part("Execution"), part("BatchTaken")]},
                },
                _PLANNED,
                body={"anyOf": [part("ExecutionIn"), part("BatchIn")]},
                asked=(_PREFER, _KEY, _CANCEL),
            ),
        },
        views.OneExecution: {
            "get": op(
                *("getExecution", "One execution", part("ExecutionWhole")),
                asked=(asked("wait", "Wait so many seconds for its end.", NUMBER), _PREFER),
            ),
        },
        views.Cancel: {
            "post": op(
                *("cancelExecution", "Cancel or stop"),
                {200: part("Execution"), 202: part("Execution")},
            ),
        },
        events.ExecutionEvents: {
            "get": op(
                *("streamExecution", "Its progress", {200: _EVENT, 204: None}),
                "too_many_streams",
                asked=(_LAST,),
                gives=_STREAM,
                raw=True,
            ),
        },
        kept.Retry: {
            "post": op(
                *("retryExecution", "Run it again", _QUEUED),
                f"{_PLANNED} dropped",
                body=OBJECT,
                optional=True,
                asked=(_PREFER, _KEY),
            ),
        },
        kept.Disclose: {
            "post": op(
                *("discloseExecution", "Open a private execution", part("ExecutionWhole")),
                "ended still_running dropped",
                body=part("OpeningIn"),
                optional=True,
            ),
        },
        views.OneBatch: {"get": op("getBatch", "How far a batch is", part("Batch"))},
        views.CancelBatch: {"post": op("cancelBatch", "Cancel what is left", part("Batch"))},
        events.BatchEvents: {
            "get": op(
                *("streamBatch", "Its progress", {200: _EVENT, 204: None}),
                "too_many_streams",
                asked=(_LAST,),
                gives=_STREAM,
                raw=True,
            ),
        },
    },
)
REPLAYS = Chapter(
    name="Replays",
    words="Runs made again by auditors, and what they found.",
    views={
        replays.AskReplay: {
            "post": op(
                *("askForReplay", "Ask for a replay", {200: part("Replay"), 202: part("Replay")}),
                "not_replayable too_many_replays dropped private",
            ),
        },
        replays.Replays: {
            "get": op("listReplays", "Replays of an execution", pages(part("Replay")), asked=PAGED),
        },
        replays.HandInReplay: {
            "post": op(
                *("handInReplay", "Hand in a replay"),
                {200: part("Replay"), 201: part("Replay")},
                "bad_replay not_replayable unknown_execution key_not_registered key_may_not"
                " invalid_envelope duplicate_claim log_busy log_held log_stopped log_frozen",
                body=part("ReplayIn"),
            ),
        },
        replays.Rounds: {
            "get": op(
                *("listAuditRounds", "Rounds of lots", pages(part("AuditRound"))), asked=(CURSOR,)
            ),
        },
    },
)
TRACES = Chapter(
    name="Traces",
    words="A digest for each step of a run: which step do two runs disagree about?",
    views={
        traces.AskForTrace: {
            "post": op(
                *("askForTrace", "Ask for a trace", {202: part("Trace")}),
                "not_traceable too_many_traces dropped private hidden taken_down",
            ),
        },
        traces.Traces: {
            "get": op("listTraces", "Traces of an execution", pages(part("Trace")), "private"),
        },
        traces.OneTrace: {"get": op("getTrace", "One trace", part("Trace"), "private")},
        traces.TraceFile: {
            "get": op(
                *("getTraceFile", "The trace itself", OBJECT),
                "private not_comparable dropped",
                raw=True,
            ),
        },
        traces.TraceCapsule: {
            "get": op(
                *("getCapsule", "A step in a file of its own"),
                {"type": "string", "format": "binary"},
                "private not_comparable dropped executor_away executor_busy not_runnable deadline",
                asked=(
                    asked("node", "The index of the step.", COUNT),
                    asked("against", "Another trace: the first step that differs.", ID),
                ),
                gives="application/zip",
                raw=True,
            ),
        },
        traces.Compare: {
            "get": op(
                *("compareTraces", "Compare two traces", part("TraceComparison")),
                "unknown_trace not_comparable private dropped",
                asked=(
                    asked("a", "A trace.", ID, required=True),
                    asked("b", "Another.", ID, required=True),
                ),
            ),
        },
    },
)
CHAPTERS = (EXECUTIONS, REPLAYS, TRACES)
