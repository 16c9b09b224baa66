"""Log lines: one JSON object each, that says which request or task it is about."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from config.celery import app
from config.logs import AboutFilter, JsonFormatter, PlainFormatter, about, logging_config
from tests.config.test_settings import run

TELL = (
    "import django, logging; django.setup(); "
    "logging.getLogger('registry.tests').warning('two\\nlines', extra={'digest': 'ab', 'x': []})"
)


def line(record: logging.LogRecord) -> Any:
    """Return the object of the one line that is written of `record`."""
    AboutFilter().filter(record)
    text = JsonFormatter().format(record)
    assert len(text.splitlines()) == 1
    assert text.isascii()
    return json.loads(text)


def record(message: str = "it is {so}", **more: Any) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "registry", "levelname": "INFO", "msg": message, **more})


def test_a_line_says_when_where_how_bad_and_what() -> None:
    found = line(record("%s lines", args=(3,), created=1_700_000_000.25, process=7))
    assert found == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "INFO",
        "logger": "registry",
        "message": "3 lines",
        "process": 7,
    }


def test_a_line_names_its_request_and_the_next_one_does_not() -> None:
    with about("request_id", "5f0c"):
        assert line(record())["request_id"] == "5f0c"
        with about("task", "registry.tasks.send_letters 1"):
            assert "request_id" not in line(record())
        assert line(record())["request_id"] == "5f0c"
    assert "request_id" not in line(record())


def test_what_a_caller_adds_stands_beside_and_cannot_pass_for_ours() -> None:
    found = line(record(digest="ab", level="FAKE", blob=b"secret", sizes=[1]))
    assert (found["digest"], found["level"]) == ("ab", "INFO")
    assert not {"blob", "sizes"} & set(found)


def test_mallory_cannot_write_a_second_line() -> None:
    lie = 'a\n{"level":"CRITICAL"}\u2028b\udc80'
    assert line(record(lie))["message"] == lie


def test_mallory_cannot_write_a_second_line_for_people_either(
    heard: list[logging.LogRecord], settings: Settings
) -> None:
    settings.LOG_REQUESTS = True
    Client().get("/healthz%0A2026-01-01%20CRITICAL%20root%20The%20key%20is%20lost%1b[2J")
    (found,) = [one for one in heard if one.name == "config.requests"]
    shown = PlainFormatter("%(levelname)s %(name)s%(about)s %(message)s").format(found)
    assert len(shown.splitlines()) == 1
    assert "/healthz\\n2026-01-01 CRITICAL" in shown
    assert "\x1b" not in shown


def test_an_exception_is_told_in_its_line() -> None:
    try:
        raise ValueError("no\nsuch")
    except ValueError:
        found = line(record(exc_info=sys.exc_info()))
    assert "ValueError: no\nsuch" in found["exception"]


def test_a_process_writes_in_the_form_that_the_settings_say(tmp_path: Path) -> None:
    told = run(tmp_path, "-c", TELL, LOG_FORMAT="json").stderr
    assert json.loads(told)["message"] == "two\nlines"
    assert json.loads(told)["digest"] == "ab"
    assert "WARNING registry.tests two\\nlines\n" in run(tmp_path, "-c", TELL).stderr
    refused = run(tmp_path, "manage.py", "check", LOG_FORMAT="xml")
    assert refused.stderr == "manage.py: LOG_FORMAT is plain or json, not 'xml'\n"


def test_the_web_server_speaks_in_that_form_too(tmp_path: Path) -> None:
    told = run(
        *(tmp_path, "manage.py", "serve", "--bind", "192.0.2.1:8000"),  # nobody's address
        LOG_FORMAT="json",
    )
    lines = [json.loads(one) for one in told.stderr.splitlines() if one.startswith("{")]
    assert {one["logger"] for one in lines} == {"gunicorn.error"}
    assert any("192.0.2.1" in one["message"] for one in lines)


@pytest.fixture
def heard() -> Iterator[list[logging.LogRecord]]:
    """Collect what the loggers of this process say, as the handler of the settings gets it."""
    records: list[logging.LogRecord] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    ear = Ear()
    ear.addFilter(AboutFilter())
    logging.getLogger().addHandler(ear)
    yield records
    logging.getLogger().removeHandler(ear)


def test_each_answer_has_a_line_with_the_id_that_the_caller_got(
    heard: list[logging.LogRecord], settings: Settings
) -> None:
    Client().get("/healthz?token=secret", headers={"x-request-id": "call-1"})
    assert heard == []
    settings.LOG_REQUESTS = True
    answer = Client().get("/healthz?token=secret", headers={"x-request-id": "call-2"})
    (found,) = [line(one) for one in heard if one.name == "config.requests"]
    assert found["request_id"] == answer["X-Request-Id"] == "call-2"
    assert (found["method"], found["path"], found["status"]) == ("GET", "/healthz", 200)
    assert found["route"] == "healthz"
    assert 0 <= found["duration_ms"] < 60_000
    assert "secret" not in str(found)


def test_a_task_of_celery_is_named_in_its_lines(heard: list[logging.LogRecord]) -> None:
    @app.task(name="tests.tell")
    def tell() -> None:
        logging.getLogger("tests").warning("here")

    try:
        tell.apply(task_id="t-1")
    finally:
        app.tasks.unregister("tests.tell")
    (found,) = [line(one) for one in heard if one.name == "tests"]
    assert found["task"] == "tests.tell t-1"


def test_worker_and_beat_take_the_handlers_of_the_settings(tmp_path: Path) -> None:
    script = (
        "import logging, config.celery as c; c.app.log.setup(loglevel='DEBUG'); "
        "print([type(h.formatter).__name__ for h in logging.getLogger().handlers], "
        "logging.getLogger('celery').level)"
    )
    assert run(tmp_path, "-c", script, LOG_FORMAT="json").stdout.strip() == "['JsonFormatter'] 30"


def test_every_logger_of_the_stock_ends_at_our_handler() -> None:
    told = logging_config("json", "INFO")
    assert set(told["handlers"]) == {"stderr"}
    assert all(set(one.get("handlers", [])) <= {"stderr"} for one in told["loggers"].values())
