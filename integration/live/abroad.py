"""Where events may go: whoever may subscribe names a URL, and must not reach with it what only this machine can.

A name is resolved when it is subscribed, and again for each connection, which is then made to an address that was
judged: what a name leads to may change. Public addresses are open; loopback, private, link-local, shared and reserved
ones, and where clouds tell machines of themselves, are so only where they lie in a network that a setting names.
"""

import ipaddress
import socket
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError

from integration.live.http import PooledHttp
from integration.runtime import Answer, Http

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# Public by its number, yet Azure answers machines there about themselves:
# https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
_TELLING = frozenset({ipaddress.ip_address("168.63.129.16")})
# IPv4 behind a translator (RFC 6052).
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")


class PlaceForbidden(OSError):
    """A host that events are not sent to."""


class Borders:
    """Which addresses are open. `networks` are open though they are no public ones, written as 10.1.0.0/16."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._open = tuple(ipaddress.ip_network(network) for network in networks)

    def refusal(self, host: str) -> str:
        """Why nothing is sent to a host; "" where something may be, or where nobody knows the name now."""
        try:
            self.addresses(host, 0)
        except PlaceForbidden as error:
            return str(error)
        except OSError:
            return ""
        return ""

    def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host, all of them open. Raises PlaceForbidden, or OSError for a name that nobody knows."""
        try:
            found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        except UnicodeError:
            raise PlaceForbidden(f"{host!r} can be no name of a host") from None
        addresses = list(dict.fromkeys(str(place[0]) for *_, place in found))
        for address in addresses:
            if not self._is_open(ipaddress.ip_address(address)):
                told = f"{host!r} is at no public address, and in no network that the setting subscriber_networks names"
                raise PlaceForbidden(told)
        return addresses

    def _is_open(self, address: Address) -> bool:
        if any(address in network for network in self._open):
            return True
        inner = _within(address)
        if inner is not None:
            return self._is_open(inner)
        return address.is_global and not address.is_multicast and address not in _TELLING


def _within(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


class WayAbroad:
    """The port to subscribers: refuses places, and sends by an `http` that goes through the same borders."""

    def __init__(self, borders: Borders, http: Http) -> None:
        self._borders = borders
        self._http = http

    def refusal(self, host: str) -> str:
        """Why nothing is sent to a host, in a sentence; "" where something may be."""
        return self._borders.refusal(host)

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeout_us: int) -> Answer:
        """One exchange. Raises as PooledHttp; ConnectionRefusedError where the place is not open."""
        return self._http.send(method, url, headers, body, timeout_us)


def bounded_http(borders: Borders) -> PooledHttp:
    """Exchanges whose connections are made to judged addresses only."""
    return PooledHttp(pool=_pool(borders))


def _pool(borders: Borders) -> urllib3.PoolManager:
    """A pool whose connections go to addresses that `borders` lets through, under the names that were asked for."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _connect(self, super()._new_conn, borders)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _connect(self, super()._new_conn, borders)

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    pool = urllib3.PoolManager(num_pools=100, maxsize=4, block=False, retries=False)
    pool.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
    return pool


def _connect(connection: Any, connect: Any, borders: Borders) -> socket.socket:
    """Connect to the first judged address that answers; the name stays, for the Host header and the certificate."""
    name = connection._dns_host
    try:
        addresses = borders.addresses(name, connection.port)
    except OSError as error:
        raise NewConnectionError(connection, str(error)) from error
    try:
        for address in addresses[:-1]:
            connection._dns_host = address
            try:
                made: socket.socket = connect()
            except NewConnectionError:
                continue
            return made
        connection._dns_host = addresses[-1]
        last: socket.socket = connect()
        return last
    finally:
        connection._dns_host = name
