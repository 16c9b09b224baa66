"""From a name, a version and tensors to an execution that can be run or queued."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.crypto import salted_hmac

from assay.canonical import canonical_json
from assay.digests import sha256_hex
from assay.tensors import Tensor, encode_tensors
from inference.choices import ExecutionState, ExecutorKind
from inference.client import ModelRef
from inference.errors import (
    AccountNeededError,
    BadRequestError,
    NotOfferedError,
    NotRunnableError,
)
from inference.models import Execution
from inference.recent import Recent
from inference.services import expiry
from inference.services.hooks import find_hook
from inference.services.request import Declared, Given, check_inputs, check_outputs, declared
from inference.services.tensors import new_nonce
from registry.errors import NotAllowedError
from registry.models import Model, Revision
from registry.moderated import need_active
from registry.rights import Caller, need_files, reaches, token_of
from registry.selectors import facts, find_model, resolve, resources

DEFAULT_PRIORITY = 100
MAX_PRIORITY = 1_000
MAX_KEY = 255
_REMEMBERED = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a revision's graph takes and gives, and what the executor needs to run it."""

    inputs: tuple[Declared, ...]
    outputs: tuple[Declared, ...]
    ref: ModelRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A revision that the caller may run, under the version that names it."""

    model: Model
    revision: Revision
    version: str
    signature: Signature


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the caller may choose beside the tensors; times in seconds, None for the default.

    `keep_s` counts from the end of the execution. `hook` is the id of one of the caller's webhooks.
    """

    outputs: tuple[str, ...] | None = None
    timeout_s: float | None = None
    priority: int | None = None
    idempotency_key: str | None = None
    kind: str = ExecutorKind.PORTABLE
    private: bool = False
    keep_s: int | None = None
    hook: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A checked request: an execution row and its `input.tensors`, neither of them written yet.

    A private one's `nonce` stands before `data` in what is stored.
    """

    execution: Execution
    inputs: tuple[Tensor, ...]
    data: bytes
    target: Target
    nonce: bytes = b""


def executor_kind(value: object) -> str:
    """Return the kind of executor that a caller names; `portable` when they name none.

    Raises:
        BadRequestError: no kind.
    """
    if value is None:
        return ExecutorKind.PORTABLE
    if not isinstance(value, str) or value not in ExecutorKind.values:
        raise BadRequestError("The parameter executor is 'portable' or 'native'.")
    return value


def find_target(name: str, version: str | None, user: Caller) -> Target:
    """Return what `name` and `version` mean for `user`; a former name means the model too.

    Raises:
        UnknownModelError, UnknownRevisionError: nothing that they may know of.
        GatedError: the model is gated, and their request is not approved.
        TakenDownError, HiddenError: moderators stopped the model, the release or a file of it.
        SuspendedError: `user` is suspended.
        NotReleasedError: only a signed release runs.
        NotRunnableError: the release has no ONNX graph.
    """
    model = find_model(name, user, follow=True)
    need_files(user, model)
    need_active(user)
    runnable = resolve(model, version, user=user)
    revision = runnable.revision
    return Target(
        model=model,
        revision=revision,
        version=runnable.version,
        signature=signature_of(revision),
    )


def recent_target(name: str, version: str | None, user: Caller) -> Target:
    """Return what `find_target` gives, as it was a moment ago (see `inference.recent`)."""
    # Two tokens of one account may reach different models.
    token = token_of(user)
    who = (user.pk if user and user.is_authenticated else None, token.pk if token else "")
    return _targets.get((name, version, who), lambda: find_target(name, version, user))


_targets: Recent[Target] = Recent()


def signature_of(revision: Revision) -> Signature:
    """Return what an inspected revision takes and gives.

    Raises:
        NotRunnableError: it has no ONNX graph.
    """
    return _signature(revision.pk)


@lru_cache(maxsize=_REMEMBERED)
def _signature(revision_id: str) -> Signature:
    # A commit never changes, and its inspection is over: what was read once stays true.
    revision = Revision.objects.get(pk=revision_id)
    graph_facts = facts(revision)
    if not graph_facts:
        raise NotRunnableError("This release has no ONNX graph to run.", revision=revision_id)
    return Signature(
        inputs=declared(graph_facts["inputs"]),
        outputs=declared(graph_facts["outputs"]),
        ref=ModelRef(
            resources=tuple(resources(revision)),
            graph=revision.graph_path,
            external=tuple(graph_facts.get("external", ())),
        ),
    )


def make_plan(
    target: Target, given: Sequence[Given], wishes: Wishes, user: Caller, *, limit_s: float
) -> Plan:
    """Check the tensors and return the execution of `target`; `limit_s` caps the deadline.

    Raises:
        BadTensorError, BadRequestError, NotOfferedError: what is wrong with the request.
        UnknownWebhookError: the caller has no such webhook.
        AccountNeededError: only somebody who is signed in runs in private.
        NotAllowedError: a token with limits runs in private within them only.
    """
    signature = target.signature
    if wishes.kind == ExecutorKind.NATIVE and not settings.EXECUTOR_NATIVE_SLOTS:
        raise NotOfferedError("No native executor runs here: leave out the parameter executor.")
    inputs = tuple(check_inputs(signature.inputs, given, wishes.kind))
    check_outputs(signature.outputs, wishes.outputs, wishes.kind)
    caller = user if user is not None and user.is_authenticated else None
    _check_key(wishes.idempotency_key)
    if wishes.private and caller is None:
        raise AccountNeededError("A private execution belongs to an account: sign in for it.")
    if wishes.private and not reaches(user, target.model):
        raise NotAllowedError(
            "This token is limited to other models: what it ran in private here it could not read."
        )
    data = encode_tensors(inputs)
    nonce = new_nonce() if wishes.private else b""
    seconds = min(wishes.timeout_s or limit_s, limit_s)
    now = timezone.now()
    execution = Execution(
        caller_id=None if caller is None else caller.pk,
        # An anonymous caller has no name under which a key could be kept.
        idempotency_key=None if caller is None else wishes.idempotency_key,
        state=ExecutionState.QUEUED,
        priority=min(wishes.priority or DEFAULT_PRIORITY, MAX_PRIORITY),
        available_at=now,
        deadline=now + timedelta(seconds=seconds),
        revision=target.revision,
        model_name=target.model.full_name,
        manifest=target.revision.manifest,
        graph_path=target.revision.graph_path,
        executor_kind=wishes.kind,
        requested_outputs=None if wishes.outputs is None else list(wishes.outputs),
        input_id=sha256_hex(nonce + data),
        private=wishes.private,
        hook=None if wishes.hook is None else find_hook(wishes.hook, user),
    )
    expiry.keep(execution, wishes.keep_s)
    digest = sha256_hex(data) if nonce else execution.input_id
    execution.request_digest = request_digest(execution, digest)
    return Plan(execution=execution, inputs=inputs, data=data, target=target, nonce=nonce)


def plan_again(
    earlier: Execution, target: Target, inputs: Sequence[Tensor], *, key: str | None
) -> Plan:
    """Return the plan of a new execution that asks for what `earlier` asked for.

    Raises:
        BadRequestError: the key is none.
    """
    _check_key(key)
    data = encode_tensors(inputs)
    nonce = new_nonce() if earlier.private else b""
    now = timezone.now()
    execution = Execution(
        caller_id=earlier.caller_id,
        idempotency_key=key,
        state=ExecutionState.QUEUED,
        priority=earlier.priority,
        available_at=now,
        deadline=now + (earlier.deadline - earlier.created_at),
        revision=target.revision,
        model_name=target.model.full_name,
        manifest=target.revision.manifest,
        graph_path=target.revision.graph_path,
        executor_kind=earlier.executor_kind,
        requested_outputs=earlier.requested_outputs,
        input_id=sha256_hex(nonce + data),
        private=earlier.private,
        hook_id=earlier.hook_id,
        retry_of=earlier,
    )
    expiry.keep(execution, earlier.keep_s)
    digest = sha256_hex(data) if nonce else execution.input_id
    execution.request_digest = request_digest(execution, digest)
    return Plan(execution=execution, inputs=tuple(inputs), data=data, target=target, nonce=nonce)


def _check_key(key: str | None) -> None:
    if key is not None and not 0 < len(key) <= MAX_KEY:
        raise BadRequestError(f"An Idempotency-Key has 1 to {MAX_KEY} characters.")


def request_digest(execution: Execution, input_digest: str) -> str:
    """Return the digest over what makes two requests the same (for an Idempotency-Key).

    A private one's is keyed: who reads the table cannot try inputs against it.
    """
    asked: dict[str, Any] = {
        "model": execution.model_name,
        "revision": execution.revision_id,
        "kind": str(execution.executor_kind),
        "input": input_digest,
        "outputs": execution.requested_outputs,
    }
    data = canonical_json(asked)
    if not execution.private:
        return sha256_hex(data)
    return salted_hmac("inference.request", data, algorithm="sha256").hexdigest()


def output_names(execution: Execution) -> tuple[str, ...]:
    """Return the outputs of an execution in the order in which they are answered."""
    if execution.requested_outputs is not None:
        return tuple(execution.requested_outputs)
    return tuple(item.name for item in signature_of(execution.revision).outputs)
