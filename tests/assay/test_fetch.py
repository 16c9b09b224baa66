"""The network gives bounded bytes in bounded time, or nothing."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from contextlib import suppress

import pytest

from assay.errors import MisuseError, UnavailableError
from assay.fetch import check_url, fetch
from tests.assay.stand import Answer, stand


def test_alice_gets_what_is_there() -> None:
    with stand({"/a": b"hello"}) as server:
        assert fetch(f"{server.url}/a", limit=5) == b"hello"


def test_a_redirect_is_followed_to_the_web_and_nowhere_else() -> None:
    pages: dict[str, Answer] = {
        "/a": (302, {"Location": "/b"}, b""),
        "/b": b"moved",
        "/ftp": (302, {"Location": "ftp://127.0.0.1/a"}, b""),
        "/file": (302, {"Location": "file:///etc/passwd"}, b""),
    }
    with stand(pages) as server:
        assert fetch(f"{server.url}/a", limit=99) == b"moved"
        for path in ("/ftp", "/file"):
            with pytest.raises(UnavailableError):
                fetch(f"{server.url}{path}", limit=99)


def test_mallory_may_not_send_too_much_or_something_else() -> None:
    with stand({"/long": b"x" * 100, "/empty": (204, {}, b"")}) as server:
        with pytest.raises(UnavailableError, match="more than 99 bytes"):
            fetch(f"{server.url}/long", limit=99)
        with pytest.raises(UnavailableError, match="answered 404"):
            fetch(f"{server.url}/missing", limit=99)
        with pytest.raises(UnavailableError, match="answered 204"):
            fetch(f"{server.url}/empty", limit=99)


def test_mallory_may_not_drip(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(0, 20)
    with stand({"/slow": b"x"}) as server, monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: float(next(clock)))
        with pytest.raises(UnavailableError, match="took longer than 10 s"):
            fetch(f"{server.url}/slow", limit=99, timeout_s=10)


def test_mallory_may_not_drip_one_byte_at_a_time() -> None:
    """Each byte comes in time for the socket, and all of them together never would."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        gone = threading.Event()

        def drip() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n")
                while not gone.wait(0.02):
                    connection.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with pytest.raises(UnavailableError, match=r"took longer than 0\.2 s"):
                fetch(f"http://127.0.0.1:{server.getsockname()[1]}/", limit=99_999, timeout_s=0.2)
        finally:
            gone.set()
            thread.join()


def test_a_body_that_ends_too_early_is_no_answer() -> None:
    with (
        stand({"/cut": (200, {"Content-Length": "9", "Connection": "close"}, b"hello")}) as server,
        pytest.raises(UnavailableError, match="ended 4 bytes too early"),
    ):
        fetch(f"{server.url}/cut", limit=99)


@pytest.mark.parametrize("url", ["http://a..b/x", "http://127.0.0.1:1/\u00fc"])
def test_an_address_that_no_wire_carries_is_no_answer(url: str) -> None:
    with pytest.raises(UnavailableError, match="did not answer"):
        fetch(url, limit=1)


def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(UnavailableError, match="did not answer"):
            fetch(f"http://127.0.0.1:{unused.getsockname()[1]}/", limit=1)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/",
        "example.org",
        "http://",
        "http://me:secret@example.org/",
        "http://example.org:99999/",
        "http://[::1",
        "http://example.org:0/",
    ],
)
def test_other_urls_are_misuse(url: str) -> None:
    with pytest.raises(MisuseError):
        check_url(url)
