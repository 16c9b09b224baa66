"""A session keeps its connections, and nothing that a server does makes it wait or swallow more."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from assay.errors import MissingError, MisuseError, UnavailableError
from assay.fetch import Session
from tests.assay.stand import Answer, stand
from tests.assay.stand_log import request_on, talking

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def always(answer: bytes) -> Callable[[socket.socket, int], None]:
    def talk(connection: socket.socket, _: int) -> None:
        while request_on(connection):
            connection.sendall(answer)

    return talk


def test_one_connection_serves_many_requests() -> None:
    with talking(always(OK)) as (url, met), Session(url) as session:
        assert [session.get(str(number), limit=5) for number in range(5)] == [b"hello"] * 5
        assert met == [0]


def test_each_thread_has_its_own_connection() -> None:
    both = threading.Barrier(2, timeout=20)

    def talk(connection: socket.socket, _: int) -> None:
        while request_on(connection):
            both.wait()
            connection.sendall(OK)

    with talking(talk) as (url, met), Session(url) as session, ThreadPoolExecutor(2) as pool:
        answers = pool.map(lambda name: session.get(name, limit=5), "abcd")
        assert list(answers) == [b"hello"] * 4
        assert met == [0, 1]


def test_a_connection_that_the_server_ended_meanwhile_is_opened_again() -> None:
    def talk(connection: socket.socket, _: int) -> None:
        request_on(connection)
        connection.sendall(OK)

    with talking(talk) as (url, met), Session(url) as session:
        assert [session.get("a", limit=5) for _ in range(3)] == [b"hello"] * 3
        assert met == [0, 1, 2]


def test_a_server_that_hangs_up_on_every_request_is_no_answer() -> None:
    def talk(connection: socket.socket, number: int) -> None:
        request_on(connection)
        if not number:
            connection.sendall(OK)

    with talking(talk) as (url, met), Session(url) as session:
        session.get("a", limit=5)
        for _ in range(2):
            with pytest.raises(UnavailableError, match="did not answer"):
                session.get("a", limit=5)
        assert met == [0, 1, 2]


def test_what_is_said_to_be_absent_is_told_apart_from_silence() -> None:
    pages: dict[str, Answer] = {
        "/log/gone": (410, {}, b""),
        "/log/closed": (403, {}, b""),
        "/log/broken": (500, {}, b""),
        "/log/moved": (302, {"Location": "/log/a"}, b""),
        "/log/packed": (200, {"Content-Encoding": "gzip"}, b"x"),
        "/log/a": b"hello",
    }
    with stand(pages) as server, Session(f"{server.url}/log/") as session:
        for name in ("missing", "gone"):
            with pytest.raises(MissingError, match=r"answered 4(04|10)"):
                session.get(name, limit=9)
        for name, words in (
            ("closed", "answered 403"),
            ("broken", "answered 500"),
            ("moved", "names /log/a: give the address"),
            ("packed", "encoding"),
        ):
            with pytest.raises(UnavailableError, match=words) as caught:
                session.get(name, limit=9)
            assert not isinstance(caught.value, MissingError)
        assert session.get("a", limit=9) == b"hello"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + b"x" * 99_999,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"5\r\nhello\r\n" * 999,
        b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 99_999,
    ],
    ids=["announced", "chunked", "until the end"],
)
def test_mallory_may_not_send_without_end(answer: bytes) -> None:
    with talking(always(answer)) as (url, _), Session(url) as session:
        with pytest.raises(UnavailableError, match="more than 99 bytes"):
            session.get("a", limit=99)
        session.close()


@pytest.mark.parametrize(
    ("start", "drop"),
    [(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"x"), (b"HTTP/1.1 200 OK\r\nX: ", b"y")],
    ids=["body", "head"],
)
def test_mallory_may_not_drip(start: bytes, drop: bytes) -> None:
    """Each byte comes in time for the socket, and all of them together never would."""
    gone = threading.Event()

    def talk(connection: socket.socket, _: int) -> None:
        request_on(connection)
        connection.sendall(start)
        while not gone.wait(0.02):
            connection.sendall(drop)

    with talking(talk) as (url, _):
        try:
            with (
                Session(url, timeout_s=0.2) as session,
                pytest.raises(UnavailableError, match="timed out"),
            ):
                session.get("a", limit=9999)
        finally:
            gone.set()


def test_mallory_may_not_keep_on_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(0, 20)
    with (
        stand({"/a": b"x" * 99_999}) as server,
        Session(server.url) as session,
        monkeypatch.context() as patch,
    ):
        patch.setattr(time, "monotonic", lambda: float(next(clock)))
        with pytest.raises(UnavailableError, match="timed out"):
            session.get("a", limit=99_999)


def test_an_answer_that_ends_too_early_is_none() -> None:
    def talk(connection: socket.socket, _: int) -> None:
        request_on(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")

    with (
        talking(talk) as (url, _),
        Session(url) as session,
        pytest.raises(UnavailableError, match="ended 4 bytes too early"),
    ):
        session.get("a", limit=99)


@pytest.mark.parametrize("url", ["http://a..b", "http://127.0.0.1:1", "https://127.0.0.1:1/x"])
def test_nobody_listens(url: str) -> None:
    with Session(url) as session, pytest.raises(UnavailableError, match="did not answer"):
        session.get("a", limit=1)


@pytest.mark.parametrize("url", ["ftp://example.org", "http://example.org/log?x=1", "http://a/#b"])
def test_other_addresses_are_misuse(url: str) -> None:
    with pytest.raises(MisuseError):
        Session(url)


def test_a_path_is_spelled_as_a_wire_carries_it() -> None:
    with stand({"/l%C3%B6g/a": b"hello"}) as server:
        for path in ("/l\u00f6g", "/l%C3%B6g/"):
            with Session(f"{server.url}{path}") as session:
                assert session.get("a", limit=5) == b"hello"


def test_a_proxy_of_this_machine_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []

    def talk(connection: socket.socket, _: int) -> None:
        while line := request_on(connection):
            heard.append(line)
            if line.startswith("CONNECT"):
                connection.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
                return
            connection.sendall(OK)

    with talking(talk) as (url, _):
        monkeypatch.setenv("http_proxy", url.removeprefix("http://"))
        monkeypatch.setenv("https_proxy", url)
        with Session("http://log.example.org/log") as session:
            assert session.get("a", limit=5) == b"hello"
        with (
            Session("https://log.example.org/log") as session,
            pytest.raises(UnavailableError, match="did not answer"),
        ):
            session.get("a", limit=5)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with Session(f"{url}/log") as session:
            assert session.get("a", limit=5) == b"hello"
    assert heard[0] == "GET http://log.example.org/log/a HTTP/1.1"
    assert heard[1].startswith("CONNECT log.example.org:443 ")
    assert heard[-1] == "GET /log/a HTTP/1.1"
