"""gevent's WSGI server answering a constant: what any Python simulator on it could reach at most.

python -m tests.benchmarks.constant_server BODY HANDLER

HANDLER is `gevent`, its own as anyone would use it, or `ours`, that of the simulators, which leaves out what they have
no use for. Neither writes a log. It takes any free port and tells it on stdout.
"""

from gevent import monkey

monkey.patch_all()

import gc  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
from collections.abc import Iterable  # noqa: E402
from wsgiref.types import StartResponse, WSGIEnvironment  # noqa: E402

from gevent.pywsgi import WSGIHandler, WSGIServer  # noqa: E402

from peakproof.live.process import GC_THRESHOLDS  # noqa: E402
from simulators.kernel.doors import Handler  # noqa: E402


class Plain(WSGIHandler):  # type: ignore[misc]
    """gevent's own handler, but without Nagle's algorithm, with which the body of an answer would wait 40 ms."""

    def handle(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().handle()


HANDLERS = {"gevent": Plain, "ours": Handler}


def main(body: bytes, handler: type[WSGIHandler]) -> None:
    """Serve for ever."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The request's body is read, as any server must."""
        environ["wsgi.input"].read()
        start_response("200 OK", [("content-type", "application/json"), ("content-length", str(len(body)))])
        return [body]

    server = WSGIServer(("127.0.0.1", 0), answer, log=None, error_log=None, handler_class=handler)
    server.start()
    gc.collect()
    gc.freeze()  # as the simulators do
    gc.set_threshold(*GC_THRESHOLDS)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1].encode(), HANDLERS[sys.argv[2]])
