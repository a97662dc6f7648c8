"""What cannot be examined ends with a clear verdict: a dead host, TLS that fails, slow and garbage-talking servers."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from peakproof.certification.data import Credentials, Limits, TestData
from peakproof.certification.http import HttpTransport
from peakproof.certification.run import Certified, Plan, certify
from peakproof.certification.waiting import WallClock

DATA = TestData(credentials=Credentials(token="test-token"), customer_id="C-1", skus=("A", "B"))
Talk = Callable[[socket.socket], None]


def certified(url: str, directory: Path) -> Certified:
    clock = WallClock()
    transport = HttpTransport(url, clock.now_us, timeout_s=0.4)
    try:
        return certify(Plan("wms", url, DATA, Limits(20, 50)), transport, clock, directory)
    finally:
        transport.close()


@contextmanager
def talking(talk: Talk) -> Iterator[int]:
    """A server that reads a request and then says what it likes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = threading.Event()

        def serve() -> None:
            while not done.is_set():
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=_talk, args=(talk, connection), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        done.set()


def _talk(talk: Talk, connection: socket.socket) -> None:
    with connection:
        try:
            connection.recv(65_536)
            talk(connection)
        except OSError:
            return


def garbage(connection: socket.socket) -> None:
    connection.sendall(b"\x00\x01SSH-2.0-OpenSSH_9.6 this is no HTTP\r\n\r\n")


def silence(connection: socket.socket) -> None:
    connection.recv(1)


def dripping(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(40):
        connection.sendall(b"x")
        time.sleep(0.1)  # the fault itself: each byte comes within the time-out, the whole never does


def no_json(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 9\r\n\r\n<h1>Hi</h")


def hang_up(_connection: socket.socket) -> None:
    """Close without a word."""


@pytest.mark.parametrize(
    ("talk", "standing", "said"),
    [
        (garbage, "unfit", "what came back is no HTTP"),
        (silence, "undecided", "no answer came in time"),
        (dripping, "undecided", "no answer came in time"),
        (no_json, "unfit", "a body that is no JSON object"),
        (hang_up, "undecided", "the connection broke before an answer"),
    ],
)
def test_a_server_that_talks_nonsense_ends_in_a_verdict(talk: Talk, standing: str, said: str, tmp_path: Path) -> None:
    with talking(talk) as port:
        done = certified(f"http://127.0.0.1:{port}", tmp_path)
    assert (done.verdict.standing, said in done.verdict.headline) == (standing, True), done.verdict.headline
    assert {finding.outcome for finding in done.verdict.findings[1:]} == {"not run"}
    assert done.learned is None


def test_a_dead_url_is_said_to_be_dead(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    done = certified(f"http://127.0.0.1:{port}", tmp_path)
    assert done.verdict.standing == "undecided"
    assert "nothing listens there" in done.verdict.headline
    assert done.verdict.exit_code == 4


def test_a_host_without_a_name_is_said_to_be_unknown(tmp_path: Path) -> None:
    assert "the host name is not known" in certified("http://no-such-partner.invalid", tmp_path).verdict.headline


def test_a_certificate_that_nobody_trusts_is_said_to_be_so(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subject = ["-subj", "/CN=localhost", "-days", "1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *subject], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def shake(connection: socket.socket) -> None:
        context.wrap_socket(connection, server_side=True)

    with _accepting(shake) as port:
        done = certified(f"https://localhost:{port}", tmp_path)
    assert done.verdict.standing == "undecided"
    assert "the TLS connection could not be made" in done.verdict.headline


@contextmanager
def _accepting(shake: Talk) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                connection, _ = server.accept()
                shake(connection)
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
