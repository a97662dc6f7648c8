"""The floor: what the same number of exchanges would cost at the very least, bare WSGI calls and SimPy events.

python -m tests.benchmarks.floor EXCHANGES
"""

import json
import sys
import time
from io import BytesIO

import simpy
from flask import Flask, Response, jsonify, request

EVENTS_PER_EXCHANGE = 3
BODY = b'{"customer_id": "C1", "order_reference": "R1", "lines": [{"line_no": 1, "sku": "S1", "quantity": 3}]}'


def wsgi_calls(count: int) -> float:
    """Seconds for so many calls of a Flask handler that parses and answers a little JSON."""
    app = Flask("floor")

    @app.post("/orders")
    def place() -> tuple[Response, int]:
        return jsonify(accepted=request.get_json()["order_reference"]), 201

    began = time.perf_counter()
    for _ in range(count):
        environ = {
            "REQUEST_METHOD": "POST",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/orders",
            "QUERY_STRING": "",
            "SERVER_NAME": "floor",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(BODY)),
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(BODY),
            "wsgi.errors": sys.stderr,
        }
        b"".join(app.wsgi_app(environ, lambda _status, _headers, _info=None: None))  # type: ignore[arg-type]
    return time.perf_counter() - began


def simpy_events(count: int) -> float:
    """Seconds for SimPy to step through so many time-outs."""
    env = simpy.Environment()
    began = time.perf_counter()
    for number in range(count):
        env.timeout(number)
    env.run()
    return time.perf_counter() - began


def main(exchanges: int) -> None:
    """Measure both and print one line of JSON."""
    began = time.process_time()
    seconds = wsgi_calls(exchanges) + simpy_events(exchanges * EVENTS_PER_EXCHANGE)
    cpu_seconds = time.process_time() - began
    figures = {"exchanges": exchanges, "seconds": round(seconds, 3), "cpu_seconds": round(cpu_seconds, 3)}
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
