"""The web's end of `infer_many`: several executions of one model in one round trip.

Plain Python, no Django, as `inference.client`, whose connections it shares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from socket import socket

from assay.errors import FormatError
from inference.client import (
    ExecutorClient,
    ExecutorError,
    ExecutorUnavailableError,
    InferRequest,
    InferResult,
)
from inference.executor.many import joined, split
from inference.executor.protocol import Frame

_SLACK_S = 5.0


class BulkClient(ExecutorClient):
    """A client that can also hand in several executions at once."""

    def infer_many(
        self,
        requests: Sequence[InferRequest],
        read_blob: Callable[[str], bytes],
        *,
        stop_after_s: float,
        caller: socket | None = None,
    ) -> list[InferResult | ExecutorError]:
        """Run executions of one model one by one; each has a result or a refusal of its own.

        What was not begun `stop_after_s` seconds after the first is refused as busy.

        Raises:
            CallerGoneError: the other end of `caller` closed; the run was stopped.
            ExecutorError: a refusal of all of them.
            ExecutorUnavailableError: no answer; some of them may have run.
        """
        request = joined([_frame(one) for one in requests], stop_after_s)
        longest = max(one.deadline_s + one.slot_wait_s * 2 for one in requests)
        answer = self._call(
            request.header,
            request.parts,
            read_blob=read_blob,
            patience_s=stop_after_s + longest + _SLACK_S,
            caller=caller,
        )
        try:
            results = [self._result_or_error(one) for one in split(answer)]
        except (FormatError, KeyError, TypeError, ValueError) as error:
            raise ExecutorUnavailableError(
                f"the executor's answer makes no sense: {error}"
            ) from error
        if len(results) != len(requests):
            raise ExecutorUnavailableError("the executor gave another number of answers")
        return results

    def _result_or_error(self, answer: Frame) -> InferResult | ExecutorError:
        refused = answer.header.get("error")
        if refused is None:
            return self._result(answer)
        return ExecutorError(refused["code"], refused["message"], retry=refused["retry"])


def _frame(request: InferRequest) -> Frame:
    return Frame(header=request.header(), parts=[tensor.data for tensor in request.inputs])
