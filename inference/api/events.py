"""Progress as server-sent events: `…/events` of an execution and of a batch."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import ExitStack

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from inference import selectors
from inference.api import shapes
from inference.api.views import ExecutionView
from inference.choices import TERMINAL, ExecutionState
from inference.events import COMPLETED, Event, Places, Stream
from inference.services.waiting import give_connection_back, listening

BATCH_PAUSE_S = 1.0
places = Places()


class _Whatever(DefaultContentNegotiation):
    """Errors are JSON, whatever was asked for: a reader of events asks for events alone."""

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        first = next(iter(renderers))
        return first, str(first.media_type)


class ExecutionEvents(ExecutionView):
    """What happens to an execution."""

    content_negotiation_class = _Whatever

    def get(self, request: Request, execution: uuid.UUID) -> HttpResponseBase:
        """Send `start` for each attempt, and `completed` with the execution when it has ended."""
        row = selectors.find(execution, request.user)

        def read() -> Event | None:
            row = selectors.find(execution, request.user)
            if row.state in TERMINAL:
                body = shapes.execution(row, request.user)
                return Event(id=COMPLETED, name=COMPLETED, data=body)
            if row.state != ExecutionState.RUNNING:
                return None
            number = row.attempts
            data = {"id": str(row.pk), "state": row.state, "attempt": number}
            return Event(id=f"start-{number}", name="start", data=data)

        last = request.headers.get("Last-Event-ID", "")
        if last == COMPLETED and row.state in TERMINAL:
            return HttpResponse(status=204)  # by the standard: do not come back
        with ExitStack() as stack:
            _take_place(stack)
            pause = stack.enter_context(listening(execution))
            return _streamed(read, pause, last, stack.pop_all())


class BatchEvents(ExecutionView):
    """How far a batch is."""

    content_negotiation_class = _Whatever

    def get(self, request: Request, batch: uuid.UUID) -> HttpResponseBase:
        """Send `progress` with the counts when they change, and `completed` when all has ended."""
        states = selectors.batch_states(batch, request.user)

        def read() -> Event | None:
            states = selectors.batch_states(batch, request.user)
            body = shapes.batch(batch, states)
            if _over(states):
                return Event(id=COMPLETED, name=COMPLETED, data=body)
            return Event(id="-".join(map(str, states.values())), name="progress", data=body)

        last = request.headers.get("Last-Event-ID", "")
        if last == COMPLETED and _over(states):
            return HttpResponse(status=204)
        with ExitStack() as stack:
            _take_place(stack)
            return _streamed(read, _sleep, last, stack.pop_all())


def _over(states: dict[str, int]) -> bool:
    return sum(states.values()) == sum(states[state] for state in TERMINAL)


def _sleep(seconds: float) -> None:
    give_connection_back()
    time.sleep(min(seconds, BATCH_PAUSE_S))


def _take_place(stack: ExitStack) -> None:
    places.take()
    stack.callback(places.give_back)


def _streamed(
    read: Callable[[], Event | None],
    pause: Callable[[float], None],
    last: str,
    held: ExitStack,
) -> StreamingHttpResponse:
    """Return the stream; it gives back what is `held` when the response is closed."""
    stream = Stream(read, pause, last=last, done=held.close)
    return StreamingHttpResponse(
        stream,
        content_type="text/event-stream",
        headers={
            "Cache-Control": "no-store",
            # nginx and its kin would else keep events until their buffer is full.
            "X-Accel-Buffering": "no",
        },
    )
