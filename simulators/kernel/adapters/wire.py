"""What adapters of HTTP clients share: addresses and headers as the world's network takes them."""

from collections.abc import Iterable

from simulators.kernel.clock import DAY

NEVER_US = 36_500 * DAY
"""The time-out of a client that named none: longer than any run."""
_OF_THE_CONNECTION = frozenset({"connection", "content-length", "transfer-encoding", "host", "keep-alive"})
_USUAL_PORTS = (None, 80, 443)


def url_of(scheme: str, host: str, port: int | None, path: str) -> str:
    """The address of an exchange. `path` has its query; an unusual port is part of the host's name."""
    return f"{scheme}://{host}{'' if port in _USUAL_PORTS else f':{port}'}{path}"


def headers_of(pairs: Iterable[tuple[str | bytes, str | bytes]]) -> dict[str, str]:
    """Headers as text, without those that speak of the connection."""
    texts = ((text_of(name), text_of(value)) for name, value in pairs)
    return {name: value for name, value in texts if name.lower() not in _OF_THE_CONNECTION}


def text_of(value: str | bytes) -> str:
    """A header's name or value as text."""
    return value.decode("latin-1") if isinstance(value, bytes) else value
