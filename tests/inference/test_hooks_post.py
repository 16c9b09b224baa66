"""One request, one status: nothing that a server answers makes us wait, follow or believe it."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from inference.webhooks.guard import Place
from inference.webhooks.post import UndeliveredError, post, tls_context
from inference.webhooks.signature import sign
from tests.inference.receiver import Receiver, receiving

LOOPBACK = ("127.0.0.1",)
NAME = "hooks.example.org"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


def place_of(receiver: Receiver, host: str = "127.0.0.1") -> Place:
    return Place(https=receiver.scheme == "https", host=host, port=receiver.port, target="/a?b=c")


def send(receiver: Receiver, body: bytes = b"{}", timeout_s: float = 5.0) -> int:
    place = place_of(receiver)
    headers = {"webhook-id": "m1"}
    return post(place, LOOPBACK, headers, body, context=tls_context(), timeout_s=timeout_s)


def test_the_message_arrives_as_it_was_sent(receiver: Receiver) -> None:
    assert send(receiver, b'{"a":1}') == 204
    (message,) = receiver.got
    assert message.line == "POST /a?b=c HTTP/1.1"
    assert message.body == b'{"a":1}'
    assert message.headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "webhook-id": "m1",
        "content-length": "7",
        "connection": "close",
    }


@pytest.mark.parametrize("status", [200, 299, 400, 404, 410, 429, 500, 599])
def test_the_status_is_told(receiver: Receiver, status: int) -> None:
    receiver.says(status)
    assert send(receiver) == status


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_mallory_may_not_send_us_on(receiver: Receiver, status: int) -> None:
    receiver.says(status, "Location: http://169.254.169.254/latest/meta-data/")
    assert send(receiver) == status
    with receiving() as inside:
        receiver.says(status, f"Location: {inside.url}")
        assert send(receiver) == status
        assert inside.connections == 0


def test_interim_answers_are_passed_over(receiver: Receiver) -> None:
    receiver.answer = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.0 201\r\n\r\n"
    )
    assert send(receiver) == 201


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 999 OK\r\n\r\n",
        b"HTTP/1.1 +20 OK\r\n\r\n",
        b" HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20_000,
        b"HTTP/1.1 102 Processing\r\n\r\n" * 1_000,
    ],
)
def test_what_is_no_http_answer_delivers_nothing(receiver: Receiver, answer: bytes) -> None:
    receiver.answer = answer
    with pytest.raises(UndeliveredError, match="The answer is"):
        send(receiver)


def test_an_endless_body_is_not_read(receiver: Receiver) -> None:
    sent = 0

    def flood(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
        while True:  # until the other side is gone
            sent += connection.send(b"a" * 65_536)

    receiver.answer = flood
    assert send(receiver) == 200


def test_mallory_may_not_hold_us_with_an_answer_that_drips(receiver: Receiver) -> None:
    def drip(connection: socket.socket) -> None:
        connection.settimeout(0.02)
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"a" * 5_000:
            connection.send(bytes([byte]))
            with suppress(TimeoutError):
                connection.recv(1)

    receiver.answer = drip
    with pytest.raises(UndeliveredError, match=r"No answer within 0\.3 seconds"):
        send(receiver, timeout_s=0.3)


def test_a_port_where_nobody_listens_is_tried_once_for_each_address(receiver: Receiver) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        gone = Place(https=False, host="127.0.0.1", port=bound.getsockname()[1], target="/")
        with pytest.raises(UndeliveredError, match="refused"):
            post(gone, ("::1", "127.0.0.1"), {}, b"", context=tls_context())
    # The first address is away, the second takes it.
    taken = post(place_of(receiver), ("::1", "127.0.0.1"), {}, b"", context=tls_context())
    assert taken == 204


def test_time_that_is_over_is_not_spent_on_the_next_address(receiver: Receiver) -> None:
    with pytest.raises(UndeliveredError, match="No answer within 0 seconds"):
        post(place_of(receiver), ("::1", "127.0.0.1"), {}, b"", context=tls_context(), timeout_s=0)
    assert receiver.connections == 0


def test_tls_that_breaks_off_is_told_of(receiver: Receiver) -> None:
    # A server that speaks HTTP where TLS is expected answers with what is no handshake.
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def babble() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.recv(4_096)

        thread = threading.Thread(target=babble)
        thread.start()
        place = Place(https=True, host=NAME, port=listening.getsockname()[1], target="/")
        with pytest.raises(UndeliveredError, match="The TLS connection failed"):
            post(place, LOOPBACK, {}, b"", context=tls_context())
        thread.join(5)


def test_who_hangs_up_is_told_of(receiver: Receiver) -> None:
    def reset(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    receiver.answer = reset
    with pytest.raises(UndeliveredError, match="The connection failed"):
        send(receiver)


def test_no_proxy_of_the_environment_is_asked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert send(receiver) == 204
        assert proxy.connections == 0


# ------------------------------------------------------------------ TLS


def certificate(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """Return a certificate for `name` that signs itself, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    path = folder / f"{name}.pem"
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(built.public_bytes(Encoding.PEM) + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return path, context


def trusting(path: Path) -> ssl.SSLContext:
    context = tls_context()
    context.load_verify_locations(path)
    return context


def test_the_checked_address_is_used_with_the_names_sni_and_host(tmp_path: Path) -> None:
    path, server = certificate(tmp_path, NAME)
    asked: list[str | None] = []
    server.sni_callback = lambda _socket, name, _context: asked.append(name)
    with receiving(server) as receiver:
        # No resolver knows this name: only the address that was checked leads there.
        place = place_of(receiver, NAME)
        assert post(place, LOOPBACK, {}, b"{}", context=trusting(path)) == 204
        assert asked == [NAME]
        assert receiver.got[0].headers["host"] == f"{NAME}:{receiver.port}"


def test_mallory_may_not_receive_what_is_for_another_name(tmp_path: Path) -> None:
    path, server = certificate(tmp_path, "mallory.example.org")
    with receiving(server) as receiver:
        place = place_of(receiver, NAME)
        for context in (trusting(path), tls_context()):
            with pytest.raises(UndeliveredError, match="The certificate is refused"):
                post(place, LOOPBACK, {}, b"{}", context=context)
        assert receiver.got == []


def test_what_speaks_no_tls_receives_nothing(receiver: Receiver) -> None:
    receiver.answer = b"HTTP/1.1 200 OK\r\n\r\n"
    place = Place(https=True, host=NAME, port=receiver.port, target="/")
    with pytest.raises(UndeliveredError):
        post(place, LOOPBACK, {}, b"{}", context=tls_context(), timeout_s=0.5)
    assert receiver.got == []


# ------------------------------------------------------------------ the signature


def test_the_signature_is_that_of_standard_webhooks() -> None:
    # The vector with which the specification's own libraries are tested.
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    value = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert value == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
