"""What answers on one port: a host of a run, its document, and the admin API.

/...            the host in the run of this process
/r/NAME/...     the same host in another run, with tokens, stock and evidence of its own
/__docs         the page of its document; /__openapi.json the document; both need no token
/__admin/...    see admin.py
"""

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import gevent

from peakproof.live.runs import Runs

RUN = "peakproof.run"
HOST = "peakproof.host"
_OWN = "/__"


class Gateway:
    """The WSGI application of one port."""

    def __init__(self, host: str, runs: Runs, own: WSGIApplication) -> None:
        """`own` answers what is not the host's: the admin API and the pages."""
        self._host = host
        self._runs = runs
        self._own = own

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        name, path = "", environ["PATH_INFO"]
        if path.startswith("/r/"):
            name, _, rest = path[3:].partition("/")
            environ["SCRIPT_NAME"] = f"/r/{name}"
            environ["PATH_INFO"] = path = f"/{rest}"
        run = self._runs.get(name)
        if run is None:
            start_response("404 Not Found", [("content-type", "application/problem+json")])
            return [b'{"type":"urn:peakproof:problem:not-found","title":"Not found","status":404,'
                    b'"detail":"there is no run of this name: make one with POST /__admin/runs"}']  # fmt: skip
        if path.startswith(_OWN):
            environ[RUN], environ[HOST] = run, self._host
            return self._own(environ, start_response)
        if run.fixed_delay_ms:
            gevent.sleep(run.fixed_delay_ms / 1_000)
        return run.doors[self._host](environ, start_response)
