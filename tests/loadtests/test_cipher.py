"""Who has not the secret can neither join a crowd nor read what is said in it."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

import pytest

# Locust patches the process that imports it, so each end is a process of its own.
MASTER = """
import sys
from loadtests import cipher
if sys.argv[1]:
    cipher.lock(sys.argv[1])
from locust.rpc import Message, zmqrpc
server = zmqrpc.Server("127.0.0.1", 0)
print(server.port, flush=True)
client, message = server.recv_from_client()
server.send_to_client(Message("token", {"heard": message.data}, client))
sys.stdin.read()
"""
WORKER = """
import sys
import gevent
from loadtests import cipher
if sys.argv[2]:
    cipher.lock(sys.argv[2])
from locust.rpc import Message, zmqrpc
client = zmqrpc.Client("127.0.0.1", int(sys.argv[1]), "me")
client.send(Message("hello", "a-bearer-token", "me"))
with gevent.Timeout(float(sys.argv[3]), False):
    print(client.recv().data, flush=True)
client.close(linger=0)
"""
HEARD = "{'heard': 'a-bearer-token'}\n"


@contextmanager
def python(program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


class Wire:
    """The way to a port, on which somebody listens in."""

    def __init__(self, port: int) -> None:
        self.heard = b""
        self._to = port
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        Thread(target=self._relay, daemon=True).start()

    def _relay(self) -> None:
        near, _ = self._door.accept()
        far = socket.create_connection(("127.0.0.1", self._to))
        for source, sink in ((near, far), (far, near)):
            Thread(target=self._copy, args=(source, sink), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                self.heard += data
                sink.sendall(data)


def talk(master_secret: str, worker_secret: str, patience_s: float) -> tuple[str, bytes]:
    """What the worker was answered, and what could be read on the way."""
    with python(MASTER, master_secret) as master:
        assert master.stdout is not None
        wire = Wire(int(master.stdout.readline()))
        with python(WORKER, str(wire.port), worker_secret, str(patience_s)) as worker:
            said, _ = worker.communicate(timeout=60)
        assert worker.returncode == 0
    return said, wire.heard


@pytest.mark.parametrize("secret", ["wrong", ""])
def test_another_secret_or_none_opens_no_door(secret: str) -> None:
    assert talk("right", secret, 1.0)[0] == ""


def test_the_secret_opens_the_door_and_nothing_is_said_in_clear() -> None:
    said, heard = talk("right", "right", 20.0)
    assert said == HEARD
    assert b"CURVE" in heard
    assert b"a-bearer-token" not in heard


def test_without_a_lock_all_could_be_read_on_the_way() -> None:
    said, heard = talk("", "", 20.0)
    assert said == HEARD
    assert b"a-bearer-token" in heard
