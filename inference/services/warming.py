"""Warming models up: loaded, and run once on zeros, before their first caller comes.

Nothing depends on it: where it is lost, the first caller waits for the load. Nothing is written.
"""

from __future__ import annotations

import logging

from inference.choices import ExecutionState
from inference.client import ExecutorError, ExecutorUnavailableError
from inference.errors import InferenceError
from inference.models import Execution
from inference.services.asking import executor, read_blob
from inference.services.plan import signature_of
from registry.errors import RegistryError
from registry.models import Revision

AFTER_START = 8  # models
_LOOKED_AT = 200  # newest executions
log = logging.getLogger(__name__)


def warm_up(revision_id: str) -> bool:
    """Warm a released revision; False when the executor cannot, which is logged with its words."""
    revision = Revision.objects.get(pk=revision_id)
    trial = revision.report.get("trial") or {}
    if trial.get("ok") is False:
        return False  # its inspection tried: the model's page says why it does not run
    try:
        warmth = executor().warm(signature_of(revision).ref, read_blob)
    except (ExecutorUnavailableError, ExecutorError, InferenceError, RegistryError) as error:
        log.info("revision %s is not warmed up: %s", revision_id, error)
        return False
    if not warmth.runnable:
        log.warning("revision %s does not run on zeros: %s", revision_id, warmth.reason)
    return warmth.runnable


def warm_after_start() -> int:
    """Warm what was run last, if the executor holds no model at all; return how many are warm."""
    try:
        if executor().status().models:
            return 0
    except (ExecutorUnavailableError, ExecutorError):
        return 0
    newest = Execution.objects.order_by("-created_at", "id")[:_LOOKED_AT]
    ran = [
        revision
        for revision, state in newest.values_list("revision_id", "state")
        if state == ExecutionState.SUCCEEDED
    ]
    return sum(map(warm_up, list(dict.fromkeys(ran))[:AFTER_START]))
