"""A WSGI application behind a real HTTP server, for as long as somebody in this process needs it."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any
from wsgiref.types import WSGIApplication

from werkzeug.serving import WSGIRequestHandler, make_server


class Quiet(WSGIRequestHandler):
    """Logs no request: who serves keeps a record of its own."""

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        """Nothing."""


@contextmanager
def served(
    application: WSGIApplication, host: str = "127.0.0.1", port: int = 0, fd: int | None = None
) -> Iterator[str]:
    """The application on an address of this computer, a free port of loopback by default; gives its base URL.

    `fd` is a socket that listens there already.
    """
    server = make_server(host, port, application, threaded=True, request_handler=Quiet, fd=fd)
    thread = Thread(target=server.serve_forever, name=f"serve {host}:{server.server_port}", daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
