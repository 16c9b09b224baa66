"""What a model process refused, in the words of the protocol."""

from __future__ import annotations

from inference.executor.hosts import ModelError
from inference.executor.protocol import RefusalError


def too_late() -> RefusalError:
    """Return the refusal of a run that its deadline ended."""
    return RefusalError("deadline", "the deadline passed before the model had answered")


def load_time() -> RefusalError:
    """Return the refusal of a load that had all the time that a load may take."""
    return RefusalError("load_time", "loading the model took too long")


def load_refusal(error: ModelError, *, late: bool) -> RefusalError:
    """Return what a failed load is to the caller; `late`: it had all the time of a load."""
    match error.code:
        case "memory":
            return RefusalError("load_memory", "loading the model met the memory limit")
        case "deadline" if late:
            return load_time()
        case "deadline":
            return too_late()
    return RefusalError("load_failed", f"the runtime refuses the model: {error.message}")


def run_refusal(error: ModelError) -> RefusalError:
    """Return what a failed run is to the caller."""
    match error.code:
        case "memory":
            return RefusalError("model_failed", "the model met the memory limit on this input")
        case "deadline":
            return too_late()
    return RefusalError("model_failed", f"the model failed on this input: {error.message}")
