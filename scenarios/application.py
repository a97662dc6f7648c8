"""An application of your own in place of the reference integration: `module:factory`, from text to a running host.

The factory is called with what it asks for by name (see `OFFERED`), or as `factory(ports, settings)`. It gives a WSGI
callable, or an object with `.wsgi` and perhaps `.start()`, which is then called once. See docs/your-own-integration.md.

ApplicationError (a ScenarioError)   the factory can't be used, or what it made can't be judged in virtual time
"""

import hashlib
import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

from scenarios.errors import ScenarioError
from simulators.kernel.adapters import all_patches, enclose, enclosed
from simulators.kernel.ports import Ports
from simulators.kernel.world import World

OUR_PACKAGES = ("contracts", "integration", "loadtests", "peakproof", "reports", "scenarios", "simulators")
PORTS = ("clock", "http", "tasks", "ids", "gate")
OFFERED = (
    *("ports", "settings", *PORTS),
    *("url", "partners", "credentials", "webhook_secrets", "channel_tokens", "database", "options"),
)
"""What a factory may name as a parameter: the ports, the settings, and each entry of the settings."""


class ApplicationError(ScenarioError):
    """Says which factory, what is wrong with it, and what to do."""


@dataclass(frozen=True)
class ForeignApp:
    """A factory that was found. `name` is its `module:factory`."""

    name: str
    factory: Callable[..., Any]

    @classmethod
    def load(cls, name: str) -> "ForeignApp":
        """Import a factory, looking in the working directory first. Raises ApplicationError."""
        module_name, colon, path = name.partition(":")
        if not colon or not module_name or not path:
            raise ApplicationError(f"--app {name!r} is not module:factory, as in shop.main:create_app")
        package = module_name.partition(".")[0]
        if package in OUR_PACKAGES:
            raise ApplicationError(
                f"--app {name!r} is shadowed by the package {package!r} of Peakproof itself: move your factory to a"
                " module of another name, which may import the rest"
            )
        found: Any = _import(name, module_name)
        for part in path.split("."):
            if not hasattr(found, part):
                raise ApplicationError(
                    f"--app {name!r}: {module_name} has no {part!r}; name a function that makes the application"
                )
            found = getattr(found, part)
        if not callable(found):
            raise ApplicationError(
                f"--app {name!r} is not callable but {type(found).__name__}: name a function that makes the application"
            )
        return cls(name, found)

    def fingerprint(self) -> str:
        """One sha256 over the Python sources of the factory's module, or of the package that it is in."""
        package = self.name.partition(":")[0].partition(".")[0]
        file = getattr(sys.modules[package], "__file__", None)
        file = file or getattr(sys.modules[self.name.partition(":")[0]], "__file__", None)
        if file is None:
            return ""
        source = Path(file)
        files = sorted(source.parent.rglob("*.py")) if source.name == "__init__.py" else [source]
        whole = hashlib.sha256()
        for path in files:
            whole.update(f"{path.relative_to(source.parent)} ".encode() + path.read_bytes())
        return whole.hexdigest()

    def start(self, ports: Ports, settings: Mapping[str, Any]) -> WSGIApplication:
        """Call the factory in a running world, and `.start()` of what it made. Raises ApplicationError."""
        try:
            made = self._called(ports, settings)
            wsgi = made if callable(made) and not hasattr(made, "wsgi") else getattr(made, "wsgi", None)
            start = getattr(made, "start", None) if wsgi is not made else None
            if start is not None:
                start()
        except ScenarioError:
            raise
        except Exception as error:
            raise ApplicationError(
                f"--app {self.name!r} can't be started: {type(error).__name__}: {error} (in {_place_of(error)})"
            ) from error
        if not callable(wsgi):
            raise ApplicationError(
                f"--app {self.name!r} made {type(made).__name__}, which is no WSGI application: return one, or an"
                " object with .wsgi and perhaps .start()"
            )
        application: WSGIApplication = wsgi
        return application

    def _called(self, ports: Ports, settings: Mapping[str, Any]) -> Any:
        offered = {"ports": ports, "settings": settings, **{name: getattr(ports, name) for name in PORTS}, **settings}
        wanted = list(inspect.signature(self.factory).parameters.values())
        required = [entry for entry in wanted if entry.default is entry.empty and _is_named(entry)]
        unknown = [entry.name for entry in required if entry.name not in offered]
        if len(unknown) == len(required) == 2:
            return self.factory(ports, settings)
        if unknown:
            raise ApplicationError(
                f"--app {self.name!r} asks for {unknown[0]!r}, which is not offered; a factory may name"
                f" {', '.join(OFFERED)}"
            )
        if any(entry.kind is entry.VAR_KEYWORD for entry in wanted):
            return self.factory(**offered)
        return self.factory(**{entry.name: offered[entry.name] for entry in wanted if entry.name in offered})


def attach(
    world: World, host: str, app: ForeignApp, settings: Mapping[str, Any], routes: list[tuple[str, str]]
) -> None:
    """Put an application on the network under that name, enclosed in the world."""
    enclose(world, host)
    world.network.attach(host, lambda: app.start(world.ports(host), settings), routes, foreign=True)


def _import(name: str, module_name: str) -> Any:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        with enclosed(all_patches()):  # so that `from time import sleep` binds what can tell who calls
            return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if module_name == missing or module_name.startswith(f"{missing}."):
            raise ApplicationError(
                f"--app {name!r}: there is no module {missing!r} in {here} nor installed beside Peakproof"
            ) from error
        raise ApplicationError(f"--app {name!r} imports {missing!r}, which is not installed: install it") from error
    except Exception as error:
        raise ApplicationError(
            f"--app {name!r} can't be imported: {type(error).__name__}: {error} (in {_place_of(error)})"
        ) from error


def _is_named(entry: inspect.Parameter) -> bool:
    return entry.kind in (entry.POSITIONAL_ONLY, entry.POSITIONAL_OR_KEYWORD, entry.KEYWORD_ONLY)


def _place_of(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "an unknown place"
