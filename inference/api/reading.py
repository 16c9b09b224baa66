"""What comes in: the fields of an execution request, read strictly."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework.request import Request

from inference.errors import BadRequestError
from inference.prefer import parse_cancel_after
from inference.services.plan import Plan, Target, Wishes, executor_kind, make_plan, recent_target
from inference.services.request import read_json_tensor
from inference.services.submit import MAX_BATCH

_OTHERS = (
    *("model", "version", "outputs", "private", "priority", "deadline_s", "executor", "keep"),
    "webhook",
)


def read_plan(request: Request) -> Plan:
    """Return the one execution that a request asks for.

    Raises:
        InferenceError, RegistryError: what is wrong with it.
    """
    value = read_object(request.data, ("inputs", *_OTHERS))
    target, wishes = _target(request, value), _wishes(request, value)
    return _planned(request, target, wishes, value.get("inputs"), "")


def read_batch(request: Request) -> list[Plan]:
    """Return the executions of a request with `items`; raises as `read_plan`."""
    value = read_object(request.data, ("items", *_OTHERS))
    items = value["items"]
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise BadRequestError("The field 'items' is an array of objects.", field="items")
    if len(items) > MAX_BATCH:
        raise BadRequestError(f"A batch has at most {MAX_BATCH} items.", field="items")
    target, wishes = _target(request, value), _wishes(request, value)
    return [
        _planned(request, target, wishes, item.get("inputs"), f"items[{number}].")
        for number, item in enumerate(items)
    ]


def read_object(value: object, fields: tuple[str, ...]) -> dict[str, Any]:
    """Return `value` when it is an object that has no other fields than `fields`.

    Raises:
        BadRequestError: it is not.
    """
    if not isinstance(value, dict):
        raise BadRequestError("The request is not a JSON object.")
    unknown = sorted(set(value) - set(fields))
    if unknown:
        raise BadRequestError(f"The field '{unknown[0][:64]}' is unknown.", field=unknown[0][:64])
    return value


def _target(request: Request, value: dict[str, Any]) -> Target:
    model, version = value.get("model"), value.get("version")
    if not isinstance(model, str):
        raise BadRequestError("The field 'model' is the name of a model.", field="model")
    if version is not None and not isinstance(version, str):
        raise BadRequestError("The field 'version' is a string.", field="version")
    return recent_target(model, version, request.user)


def _planned(request: Request, target: Target, wishes: Wishes, inputs: object, where: str) -> Plan:
    if not isinstance(inputs, list):
        field = f"{where}inputs"
        raise BadRequestError(f"The field '{field}' is an array of tensors.", field=field)
    given = [read_json_tensor(item, index) for index, item in enumerate(inputs)]
    limit_s = float(settings.INFER_QUEUED_DEADLINE_S)
    return make_plan(target, given, wishes, request.user, limit_s=limit_s)


def _wishes(request: Request, value: dict[str, Any]) -> Wishes:
    limits = [_number(value, "deadline_s"), parse_cancel_after(request.headers.get("Cancel-After"))]
    return Wishes(
        outputs=_outputs(value.get("outputs")),
        timeout_s=min((limit for limit in limits if limit is not None), default=None),
        priority=_number(value, "priority"),
        idempotency_key=request.headers.get("Idempotency-Key"),
        kind=executor_kind(value.get("executor")),
        private=_flag(value, "private"),
        keep_s=_number(value, "keep", least=0),
        hook=_text(value, "webhook"),
    )


def _outputs(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    items = value if isinstance(value, list) else [None]
    names = [item.get("name") if isinstance(item, dict) else item for item in items]
    if not all(isinstance(name, str) for name in names):
        raise BadRequestError("The field 'outputs' is an array of names.", field="outputs")
    return tuple(str(name) for name in names) or None


def _number(value: dict[str, Any], field: str, *, least: int = 1) -> int | None:
    number = value.get(field)
    if number is not None and (type(number) is not int or number < least):
        kind = "a positive integer" if least else "a number of whole seconds"
        raise BadRequestError(f"The field '{field}' is {kind}.", field=field)
    return number


def _flag(value: dict[str, Any], field: str) -> bool:
    flag = value.get(field)
    if flag is not None and not isinstance(flag, bool):
        raise BadRequestError(f"The field '{field}' is true or false.", field=field)
    return flag is True


def _text(value: dict[str, Any], field: str) -> str | None:
    text = value.get(field)
    if text is not None and not isinstance(text, str):
        raise BadRequestError(f"The field '{field}' is a string.", field=field)
    return text
