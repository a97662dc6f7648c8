"""Locust's protocol behind CURVE, ZeroMQ's own encryption: without the secret nobody is let in or reads.

Locust itself neither asks who joins nor enciphers. Both ends make their keys from one secret. The public key of the
master never goes over the wire in clear, and a handshake can't begin without it: so the secret alone opens the door,
and every message between lead and workers (tokens, rows of evidence, Locust's own) is enciphered and authentic.
"""

import hashlib
from functools import wraps
from typing import Any, NamedTuple

import zmq
from locust import runners
from locust.rpc.zmqrpc import BaseSocket
from zmq.utils import z85

MISSING_AFTER = 20
"""Heartbeats, one a second, after which a worker counts as lost; Locust's own 3 are few for a busy machine."""
MASTER_MISSING_AFTER_S = 30


class Keys(NamedTuple):
    """A pair of CURVE keys, in Z85."""

    public: bytes
    secret: bytes


def keys_of(secret: str) -> tuple[Keys, Keys]:
    """Those of the master and those of its workers. Slow on purpose: a secret can't be guessed by trying many."""
    drawn = hashlib.scrypt(secret.encode(), salt=b"peakproof load", n=1 << 15, r=8, p=1, maxmem=1 << 26, dklen=64)
    master, worker = (z85.encode(half) for half in (drawn[:32], drawn[32:]))
    return Keys(zmq.curve_public(master), master), Keys(zmq.curve_public(worker), worker)


def lock(secret: str) -> None:
    """Every socket that Locust opens in this process from now on takes part only with those who know the secret."""
    master, worker = keys_of(secret)
    base: Any = BaseSocket
    plain = base.__init__

    @wraps(plain)
    def locked(self: Any, sock_type: int, ipv4_only: bool) -> None:
        plain(self, sock_type, ipv4_only)
        _use(self.socket, sock_type == zmq.ROUTER, master, worker)

    base.__init__ = locked


def _use(socket: Any, is_master: bool, master: Keys, worker: Keys) -> None:
    own = master if is_master else worker
    option = socket.setsockopt
    option(zmq.CURVE_PUBLICKEY, own.public)
    option(zmq.CURVE_SECRETKEY, own.secret)
    if is_master:
        option(zmq.CURVE_SERVER, 1)
    else:
        option(zmq.CURVE_SERVERKEY, master.public)


def be_patient() -> None:
    """Give a busy worker or master longer to be heard of than Locust does, which has no option for it."""
    runners.HEARTBEAT_LIVENESS = MISSING_AFTER
    runners.MASTER_HEARTBEAT_TIMEOUT = MASTER_MISSING_AFTER_S
