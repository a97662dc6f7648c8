"""`--app module:factory`: what a factory may look like, what it is given, and a sentence of advice for each mistake."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

import pytest

from scenarios.application import ApplicationError, ForeignApp, attach
from scenarios.errors import ScenarioError
from simulators.kernel import MINUTE, SECOND, EscapedWorld, EvidenceWriter, World

STARTS_AT_US = 1_795_737_600_000_000
SETTINGS = {"url": "http://integration", "partners": {"erp": "http://erp"}, "database": "/nowhere/shop.db"}


def say(text: object) -> WSGIApplication:
    """An application that says one thing."""

    def app(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [str(text).encode()]

    return app


def said_by(factory: Callable[..., Any], directory: Path) -> str:
    """Start an application in a world, and what it answers after a second."""
    world = World(1, STARTS_AT_US, EvidenceWriter(directory))
    answers: list[str] = []
    attach(world, "integration", ForeignApp("shop:create", factory), SETTINGS, [])

    def buyer() -> None:
        answers.append(world.network.send("buyer", "GET", "http://integration/", {}, b"", SECOND).body.decode())

    world.spawn("buyer", buyer, delay_us=SECOND)
    world.run(STARTS_AT_US + MINUTE)
    return answers[0]


class Service:
    """An application with a start of its own."""

    def __init__(self, clock: Any) -> None:
        self._state = "new"
        self._clock = clock
        self.wsgi = say("not started")

    def start(self) -> None:
        self._clock.sleep(SECOND // 2)  # a start may wait
        self.wsgi_before = self.wsgi
        self._state = "started"


def by_two_positions(given: Any, told: Any) -> WSGIApplication:
    return say((given.clock.now_us() - STARTS_AT_US, told["url"]))


def by_name(clock: Any, database: str, *, partners: dict[str, str], debug: bool = False) -> WSGIApplication:
    return say((clock.now_us() - STARTS_AT_US, database, partners, debug))


def everything(**given: Any) -> WSGIApplication:
    return say(sorted(given))


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        pytest.param(by_two_positions, "(0, 'http://integration')", id="ports and settings by position"),
        pytest.param(by_name, "(0, '/nowhere/shop.db', {'erp': 'http://erp'}, False)", id="what it names"),
        pytest.param(lambda: say("bare"), "bare", id="nothing"),
        pytest.param(lambda settings: say(settings["url"]), "http://integration", id="settings alone"),
        pytest.param(Service, "not started", id="an object with wsgi and start"),
        pytest.param(
            everything,
            "['clock', 'database', 'gate', 'http', 'ids', 'partners', 'ports', 'settings', 'tasks', 'url']",
            id="everything",
        ),
    ],
)
def test_a_factory_is_given_what_it_asks_for(factory: Callable[..., Any], said: str, tmp_path: Path) -> None:
    assert said_by(factory, tmp_path) == said


def no_application() -> int:
    return 7


def asks_too_much(clock: Any, kafka: Any, redis: Any) -> WSGIApplication:
    return say((clock, kafka, redis))


def fails_at_start() -> WSGIApplication:
    raise OSError("no licence")


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (no_application, "made int, which is no WSGI application"),
        (asks_too_much, "asks for 'kafka', which is not offered; a factory may name ports, settings, clock"),
        (fails_at_start, r"can't be started: OSError: no licence \(in .*test_application\.py:\d+\)"),
    ],
)
def test_a_factory_that_makes_no_application_is_told_why(
    factory: Callable[..., Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ApplicationError, match=said):
        said_by(factory, tmp_path)


def test_a_name_that_was_bound_before_the_world_ran_is_guarded_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sleepy_shop.py").write_text("from time import sleep\ndef create():\n    sleep(2)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EscapedWorld, match=r"time\.sleep\(2\) at .*sleepy_shop\.py:3 .* clock\.sleep\(2_000_000\)"):
        said_by(ForeignApp.load("sleepy_shop:create").factory, tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shop", "is not module:factory"),
        (":create", "is not module:factory"),
        ("no_such_shop:create", "there is no module 'no_such_shop'"),
        ("json:create", "json has no 'create'"),
        ("math:pi", "is not callable but float"),
        ("integration.main:create", "shadowed by the package 'integration' of Peakproof"),
        ("reports:create", "shadowed by the package 'reports' of Peakproof"),
        ("needy_shop:create", "imports 'no_such_library', which is not installed"),
        ("broken_shop:create", r"can't be imported: SyntaxError: .*broken_shop\.py:1\)"),
        ("angry_shop:create", r"can't be imported: ZeroDivisionError: .*angry_shop\.py:1\)"),
    ],
)
def test_a_factory_that_can_not_be_found_is_one_sentence_with_advice(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needy_shop.py").write_text("import no_such_library\n")
    (tmp_path / "broken_shop.py").write_text("def create(\n")
    (tmp_path / "angry_shop.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ScenarioError, match=said) as caught:
        ForeignApp.load(name)
    assert "\n" not in str(caught.value)


def test_the_fingerprint_follows_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "printed_shop"
    package.mkdir()
    (package / "__init__.py").write_text("from .rules import create\n")
    (package / "rules.py").write_text("def create(): ...\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    app = ForeignApp.load("printed_shop:create")
    before = app.fingerprint()
    assert app.fingerprint() == before
    (package / "rules.py").write_text("def create(): ...  # mended\n")
    assert app.fingerprint() != before
