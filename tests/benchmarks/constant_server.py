"""gevent's WSGI server answering a constant: what any Python simulator on it could reach at most.

python -m tests.benchmarks.constant_server PORT
"""

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402
from collections.abc import Iterable  # noqa: E402
from wsgiref.types import StartResponse, WSGIEnvironment  # noqa: E402

from gevent.pywsgi import WSGIServer  # noqa: E402

from simulators.kernel.doors import Handler  # noqa: E402

BODY = b'{"release_id":"R1","status":"received","lines":[{"line_no":1,"sku":"22423","quantity":3}]}'


def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The request's body is read, as any server must."""
    environ["wsgi.input"].read()
    start_response("200 OK", [("content-type", "application/json"), ("content-length", str(len(BODY)))])
    return [BODY]


if __name__ == "__main__":
    server = WSGIServer(("127.0.0.1", int(sys.argv[1])), answer, log=None, error_log=None, handler_class=Handler)
    server.start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()
