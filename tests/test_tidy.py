"""The rules of the house, held by a test: who may import whom, what virtual worlds may not call, no dead files."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("contracts", "simulators", "integration", "scenarios", "loadtests", "reports", "peakproof", "tests")
PRODUCT = ROOMS[:-1]

# Room -> what it may import of ours, beside itself. A longer name is a narrower room and is looked up first.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "contracts": (),
    "simulators": ("contracts",),
    "simulators.kernel": ("contracts.evidence", "contracts.problems"),
    "integration": ("contracts",),
    "integration.domain": (),
    "integration.messaging": ("integration.runtime", "integration.settings", "integration.storage"),
    "integration.storage": ("integration.runtime", "integration.domain"),
    "integration.process": (
        "contracts",
        "integration.domain",
        "integration.messaging",
        "integration.runtime",
        "integration.settings",
        "integration.storage",
        "integration.system",
    ),
    "scenarios": ("simulators", "contracts", "integration.bootstrap"),
    "scenarios.mutants": ("simulators", "contracts", "integration", "scenarios.spec"),
    "scenarios.next_version": ("integration",),
    "loadtests": (
        "scenarios.spec",
        "scenarios.demand",
        "scenarios.events",
        "scenarios.errors",
        "scenarios.crowd",  # the same clients as in virtual time
        "simulators.kernel",  # chance, the evidence writer and faults, which are those of the other processes
        "contracts",
    ),
    "reports": ("contracts.evidence",),
    "peakproof": PRODUCT,
    "tests": ROOMS,
}
# Where code runs inside a virtual world; the front door and reports may look at the wall clock.
VIRTUAL = ("contracts", "simulators", "integration", "scenarios")
BANNED_CALLS = {
    "time.time",
    "time.time_ns",
    "time.monotonic",
    "time.perf_counter",
    "time.sleep",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "uuid.uuid4",
    "uuid.uuid1",
    "uuid4",
    "os.urandom",
    "secrets.token_hex",
    "threading.Thread",
    "socket.socket",
    "hash",
}
BANNED_MODULES = {"random", "uuid", "secrets", "threading", "socket", "multiprocessing", "asyncio"}
WALL_CLOCK_ALLOWED = {
    "integration/live/abroad.py": "resolves names and connects to what they lead to",
    "integration/live/api.py": "a live process, which looks whether its port is free",
    "integration/live/database.py": "waits in real time for a real database",
    "integration/live/dispatch.py": "a live process, which names itself and waits to be told to stop",
    "integration/live/door.py": "waits for slow clients on the event loop of a real server",
    "integration/live/http.py": "exchanges over real sockets have a deadline on the wall clock",
    "integration/live/parent.py": "looks in real time whether who began a live process is still there",
    "integration/live/ports.py": "the ports of a live process: wall clock, threads, random identifiers",
    "integration/live/stream.py": "nats-py needs an event loop, which has a thread of its own",
    "integration/live/telemetry.py": "measures how long requests and attempts take",
    "scenarios/verdict.py": "measures how long each check takes, which is no part of evidence",
    "scenarios/runner.py": "measures how long the run takes, which is no part of evidence",
    "scenarios/executors.py": "starts worker processes, outside of any world",
    "simulators/kernel/live.py": "steps a world as real time goes by",
    "simulators/kernel/doors.py": "carries real calls into a live world and out of it",
    "simulators/kernel/adapters/enclosure.py": "locks what worlds in several threads of one process share",
    "simulators/kernel/adapters/guards.py": "names the ways out of the world in order to close them",
}


def sources(*rooms: str) -> list[Path]:
    return [path for room in rooms for path in sorted((ROOT / room).rglob("*.py"))]


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import; name the room"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def within(module: str, room: str) -> bool:
    return module == room or module.startswith(room + ".")


def rule_of(module: str) -> str:
    return max((room for room in MAY_IMPORT if within(module, room)), key=len)


@pytest.mark.parametrize("path", sources(*ROOMS), ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_import_only_what_they_may(path: Path) -> None:
    module = module_of(path)
    rule = rule_of(module)
    allowed = (rule, *MAY_IMPORT[rule])
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for line, name in imports(path)
        if name.split(".")[0] in ROOMS and not any(within(name, room) for room in allowed)
    ]
    assert wrong == []


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def virtual_sources() -> list[Path]:
    return [path for path in sources(*VIRTUAL) if str(path.relative_to(ROOT)) not in WALL_CLOCK_ALLOWED]


@pytest.mark.parametrize("path", virtual_sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_virtual_worlds_use_no_wall_clock_global_chance_threads_or_sockets(path: Path) -> None:
    tree = ast.parse(path.read_text())
    calls = [
        f"{path.relative_to(ROOT)}:{node.lineno} calls {dotted(node.func)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and any(dotted(node.func) == banned or dotted(node.func).endswith("." + banned) for banned in BANNED_CALLS)
    ]
    modules = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for line, name in imports(path)
        if name.split(".")[0] in BANNED_MODULES
    ]
    assert calls + modules == []


@pytest.mark.parametrize("path", sources(*PRODUCT), ids=lambda path: str(path.relative_to(ROOT)))
def test_functions_stay_short(path: Path) -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None and node.end_lineno - node.lineno >= 60
    ]
    assert long == []


def test_every_product_module_is_imported_or_is_a_front_door() -> None:
    used = {name for path in sources(*ROOMS) for _, name in imports(path)}
    doors = {"peakproof.__main__", "peakproof.cli", "peakproof.live.process", "loadtests.locustfile"}
    doors |= {f"integration.live.{process}" for process in ("api", "dispatch", "migrate")}
    alembic_loads = "integration.storage.migrations"
    dead = [
        module
        for path in sources(*PRODUCT)
        if path.name != "__init__.py"
        and (module := module_of(path)) not in doors
        and not within(module, alembic_loads)
        and not any(within(name, module) for name in used)
    ]
    assert dead == []


def test_every_check_and_metric_has_a_test_that_names_it() -> None:
    tests = "\n".join(path.read_text() for path in sources("tests"))
    files = [*sorted((ROOT / "scenarios/checks").glob("*.sql")), *sorted((ROOT / "scenarios/metrics").glob("*.sql"))]
    assert files
    assert [file.name for file in files if not file.stem.startswith("_") and file.stem not in tests] == []


def test_the_lock_pins_exactly_and_names_no_address() -> None:
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if line.strip()]
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9._-]+==[A-Za-z0-9.+!]+", line)] == []


def test_no_text_speaks_of_unfinished_work() -> None:
    marks = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)) + r")\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sources(*ROOMS)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if marks.search(line)
    ]
    assert found == []
