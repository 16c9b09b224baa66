"""What an audit gets from a registry, over connections that stay open, and what it asks there."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from assay.cli.api import Api
from assay.errors import AssayError, FormatError, UnavailableError
from assay.fetch import MovedError, Session, fetch
from assay.limits import LIMITS
from assay.replay import Registry
from assay.trace import MAX_TRACE_BYTES, Trace, parse_trace

_HELD_BYTES = 2**30
_RECEIPT_S = 60.0
_LOOKS, _LOOK_S = 60, 1.0  # at a trace that is being made, and the pause between two
_MADE, _PENDING = "done", ("queued", "running")


class Site(Registry):
    """A registry as an auditor meets it; blobs are kept, since one model runs often.

    The API's token goes to this site and to no place that it redirects to.
    """

    def __init__(self, api: Api) -> None:
        super().__init__(api.base, self._get)
        self.api = api
        self._prefix = f"{api.base.rstrip('/')}/"
        self._closing = ExitStack()
        self._sessions: dict[float, Session] = {}
        self._blobs: dict[str, bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.close()

    def _get(self, url: str, *, limit: int, timeout_s: float) -> bytes:
        session = self._sessions.get(timeout_s)
        if session is None:
            session = Session(self._prefix, timeout_s=timeout_s, token=self.api.token)
            self._sessions[timeout_s] = self._closing.enter_context(session)
        try:
            return session.get(url.removeprefix(self._prefix), limit=limit)
        except MovedError:
            return fetch(url, limit=limit, timeout_s=timeout_s, token=self.api.token)

    def blob(self, sha256: str, *, limit: int = 2**31 - 1) -> bytes:
        """Return the bytes with this hex SHA-256; raises as `Registry.blob`."""
        data = self._blobs.get(sha256)
        if data is None:
            data = super().blob(sha256, limit=limit)
            if sum(map(len, self._blobs.values())) + len(data) > _HELD_BYTES:
                self._blobs.clear()
            self._blobs[sha256] = data
        return data

    def receipt(self, execution: str) -> bytes:
        """Return the receipt of an execution, unchecked.

        Raises:
            MissingError, DeniedError: the answer is that there is none, or none for this reader.
            UnavailableError: no answer.
        """
        url = f"{self._prefix}executions/{execution}/receipt"
        return self._get(url, limit=LIMITS.bundle, timeout_s=_RECEIPT_S)

    def traces(self, execution: str, stop: threading.Event) -> list[Trace]:
        """Return the traces of an execution that the registry has; if none, let it make one.

        A registry that makes none, or none that can be read, gives an empty list: it is not bound
        to have any.
        """
        place = f"executions/{execution}/trace"
        try:
            made = [item for item in _items(self.api.get(f"{place}s")) if item["state"] == _MADE]
            if not made:
                made = [self._asked(place, stop)]
            return [self._trace(item) for item in made]
        except (AssayError, KeyError, TypeError):
            return []

    def _asked(self, place: str, stop: threading.Event) -> Mapping[str, Any]:
        told = self.api.post(place, {})
        for _ in range(_LOOKS):
            if told["state"] not in _PENDING or stop.wait(_LOOK_S):
                break
            told = self.api.get(f"{place}s/{told['id']}")
        if told["state"] != _MADE:
            raise UnavailableError(f"the trace is {told['state']}")
        return dict(told)

    def _trace(self, item: Mapping[str, Any]) -> Trace:
        path = str(item["trace_url"])
        url = self._prefix + path.removeprefix("/")
        return parse_trace(self._get(url, limit=MAX_TRACE_BYTES, timeout_s=_RECEIPT_S))

    def hand_in(self, envelope: dict[str, Any], key: str) -> str:
        """Hand in a replay statement, signed by the registered key with this fingerprint.

        Returns where it was taken, in words.

        Raises:
            RefusedError: the registry does not take it.
            UnavailableError, FormatError: no answer, or none that can be read.
        """
        told = self.api.post("replays", {"envelope": envelope, "key": key})
        entry = told.get("entry") if isinstance(told, dict) else None
        index = entry.get("index") if isinstance(entry, dict) else None
        return "taken" if index is None else f"entry {index}"

    def check_auditor(self, key: str) -> None:
        """Check that the registry has this key as an auditor's.

        Raises:
            RefusedError: it does not know the key.
            FormatError: it is no registered auditor's.
            UnavailableError: no answer.
        """
        told = self.api.get(f"keys/{key}")
        role, state = (told.get("role"), told.get("state")) if isinstance(told, dict) else ("", "")
        if (role, state) != ("auditor", "registered"):
            raise FormatError(f"the registry has this key as {role!r}, {state!r}")


def _items(told: Any) -> list[Any]:
    items = told["items"]
    return list(items)
