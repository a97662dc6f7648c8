"""The short way of a request through a Flask application.

For each request Flask makes a request object, a URL adapter, two contexts and a session, and sends six signals. Most
requests here need none of it. `take_short_way(app)` serves them with the same routes, `before_request` functions,
views, error handlers and `after_request` functions, in the same order; `flask.request`, `flask.g` and `current_app` are
there, made when they are asked for. Flask itself serves whatever is less plain: no route, a method that it answers by
itself, an application with teardown or URL functions or with coroutines, a test client. No session is opened and no
signal sent on the short way.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, Request, Response
from flask.ctx import RequestContext
from flask.globals import _cv_app, _cv_request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter, RequestRedirect, Rule

_BY_ITSELF = ("HEAD", "OPTIONS")
_OF_TEST_CLIENT = "werkzeug.debug.preserve_context"


class Context:
    """A request in work, in the place of Flask's two contexts. `view_args` are what the path holds."""

    __slots__ = ("_flasks", "_g", "app", "environ", "url_rule", "view_args")

    def __init__(self, app: Flask, environ: WSGIEnvironment, url_rule: Rule, view_args: Mapping[str, Any]) -> None:
        self.app = app
        self.environ = environ
        self.url_rule: Rule | None = url_rule
        self.view_args: Mapping[str, Any] | None = view_args
        self._flasks: RequestContext | None = None
        self._g: Any = None

    @property
    def request(self) -> Request:
        """Flask's request object."""
        return self.flasks().request

    @property
    def g(self) -> Any:
        """`flask.g` of this request."""
        if self._g is None:
            self._g = self.app.app_ctx_globals_class()
        return self._g

    def flasks(self) -> RequestContext:
        """Flask's own context of this request."""
        made = self._flasks
        if made is None:
            made = self._flasks = self.app.request_context(self.environ)
            made.request.url_rule, made.request.view_args = self.url_rule, dict(self.view_args or {})
            made._session = self.app.session_interface.make_null_session(self.app)
        return made

    def made(self) -> RequestContext | None:
        """Flask's own context, if anyone has asked for it."""
        return self._flasks

    def __getattr__(self, name: str) -> Any:
        return getattr(self.flasks(), name)


def current() -> Context | Request:
    """The request in work, whichever way it came: its `environ`, `url_rule` and `view_args`."""
    context: Any = _cv_request.get(None)
    return context if type(context) is Context else context.request


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a route goes through, in order."""

    before: tuple[Callable[[], Any], ...]
    view: Callable[..., Any]
    after: tuple[Callable[[Response], Response], ...]


def take_short_way(app: Flask) -> None:
    """Serve an application's plain requests on the short way. Whatever is registered before the first one counts."""
    app.wsgi_app = _ShortWay(app, app.wsgi_app)  # type: ignore[method-assign]


class _ShortWay:
    """The WSGI application in front of Flask's own, which is the long way."""

    def __init__(self, app: Flask, long_way: WSGIApplication) -> None:
        self._app = app
        self._long_way = long_way
        self._adapter: MapAdapter | None = None
        self._fixed: dict[tuple[str, str], Rule] = {}
        self._plans: dict[str, _Plan | None] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        found = self._found(environ)
        if found is None:
            return self._long_way(environ, start_response)
        rule, view_args = found
        plan = self._plans.get(rule.endpoint)
        if plan is None:
            if rule.endpoint not in self._plans:
                self._plans[rule.endpoint] = self._planned(rule.endpoint)  # once Flask serves, it takes no more
            return self._long_way(environ, start_response)
        context: Any = Context(self._app, environ, rule, view_args)
        of_app, of_request = _cv_app.set(context), _cv_request.set(context)
        try:
            return self._answered(context, plan)(environ, start_response)
        finally:
            _cv_request.reset(of_request)
            _cv_app.reset(of_app)
            made = context.made()
            if made is not None:
                made.request.close()
                environ["werkzeug.request"] = None  # it holds the environment in its turn

    def _found(self, environ: WSGIEnvironment) -> tuple[Rule, Mapping[str, Any]] | None:
        """The route of a plain request and what its path holds; None for one that Flask must see."""
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        fixed = self._fixed.get((method, path))
        if "HTTP_UPGRADE" in environ or _OF_TEST_CLIENT in environ:
            return None
        if fixed is not None:
            return fixed, {}
        if method in _BY_ITSELF or not path.isascii():
            return None
        if self._adapter is None:
            self._adapter = self._app.url_map.bind("")
        try:
            rule, view_args = self._adapter.match(path, method, return_rule=True)
        except (HTTPException, RequestRedirect):
            return None
        if not view_args and not rule.arguments:
            self._fixed[(method, path)] = rule
        return rule, view_args

    def _planned(self, endpoint: str) -> _Plan | None:
        """What Flask would do at this endpoint, in its order; None when it is less plain."""
        app = self._app
        view = app.view_functions.get(endpoint)
        if view is None or app.url_value_preprocessors or app.teardown_request_funcs or app.teardown_appcontext_funcs:
            return None
        names = _scopes(endpoint)
        before = [function for name in names for function in app.before_request_funcs.get(name, ())]
        after = [function for name in reversed(names) for function in reversed(app.after_request_funcs.get(name, ()))]
        if any(iscoroutinefunction(function) for function in (view, *before, *after)):
            return None
        return _Plan(tuple(before), view, tuple(after))

    def _answered(self, context: Context, plan: _Plan) -> Response:
        try:
            return self._served(context, plan)
        except Exception as error:
            return self._app.handle_exception(error)

    def _served(self, context: Context, plan: _Plan) -> Response:
        app = self._app
        try:
            answer = _gone_through(plan, context.view_args or {})
        except Exception as error:
            answer = app.handle_user_exception(error)
        response: Any = answer if isinstance(answer, app.response_class) else app.make_response(answer)
        made = context.made()
        if made is not None:
            for function in made._after_request_functions:
                response = function(response)
        for function in plan.after:
            response = function(response)
        served: Response = response
        return served


def _gone_through(plan: _Plan, view_args: Mapping[str, Any]) -> Any:
    for function in plan.before:
        answer = function()
        if answer is not None:
            return answer
    return plan.view(**view_args)


def _scopes(endpoint: str) -> tuple[str | None, ...]:
    """Where functions of an endpoint may be registered, the outermost first: the application, then its blueprints."""
    parts = endpoint.split(".")[:-1]
    return (None, *(".".join(parts[: count + 1]) for count in range(len(parts))))
