"""`python -m tests.kill.ground`: tables, the log, alice's models and her token, for a site."""

from __future__ import annotations

import json
import sys

import django

MODELS = ("add", "loop")
LOOP_TURNS = 60_000


def loop() -> bytes:
    """y = x after many turns of a Loop: a tenth of a second, always the same."""
    from onnx import helper

    from tests.inference.executor.models import BOOL, FLOAT, INT64, constant, model, node, value

    body = helper.make_graph(
        [node("Identity", ["cond_in"], ["cond_out"]), node("Identity", ["v_in"], ["v_out"])],
        "body",
        [value("i", INT64, ()), value("cond_in", BOOL, ()), value("v_in")],
        [value("cond_out", BOOL, None), value("v_out", FLOAT, None)],
    )
    nodes = [node("Loop", ["turns", "true", "x"], ["y"], body=body)]
    constants = [constant("turns", LOOP_TURNS, "int64"), constant("true", True, "bool")]
    return bytes(model(nodes, [value("x")], [value("y")], constants).SerializeToString())


def main() -> None:
    """Prepare, and print what the tests need to know."""
    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    from inference import runtimes
    from ledger import services as ledger
    from tests.inference.builders import publish
    from tests.inference.executor.models import add
    from tests.people import make_person

    call_command("migrate", verbosity=0, interactive=False)
    ledger.ensure_log()
    runtimes.add(settings.PORTABLE_RUNTIME)
    alice = make_person("alice")
    for name, graph in zip(MODELS, (add(), loop()), strict=True):
        publish(alice, name, graph)
    json.dump({"token": alice.token()}, sys.stdout)


if __name__ == "__main__":
    main()
