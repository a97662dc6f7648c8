"""Started by `peakproof load` and `peakproof load-worker`, in every process of the crowd, with Locust's own options.

A process that is told of a directory is the lead, and its own worker too when Locust has it run alone.
"""

import json
import os
import signal
import socket
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gevent
import orjson
from flask import Response
from locust import LoadTestShape, User, events, task
from locust.env import Environment
from locust.runners import STATE_INIT, STATE_MISSING, LocalRunner, MasterRunner, WorkerRunner
from locust.web import WebUI

from loadtests import cipher
from loadtests.lead import TALK, Lead, Message
from loadtests.member import BROKEN, REFUSED, Member
from loadtests.plan import BEGIN_FILE, DIRECTORY, PLAN_FILE, SECRET, TOKENS, Pace, Plan

LOOK_EVERY_S = 0.2
LOOKS_TO_REMIND = 10
LET_IN_WITHIN_S = 30.0
VERSION = version("peakproof")
NAME = f"{socket.gethostname()}:{os.getpid()}"

_lead: Lead | None = None
_member: Member | None = None


class Load(LoadTestShape):
    """Locust's part in an open model: a nominal user per worker, from when all are ready until all are done.

    How many orders are under way is no matter of users: every arrival comes at its time, whatever became of others.
    """

    def tick(self) -> tuple[int, float] | None:
        """So many users, begun at so many per second; None ends the test. Waits until business may begin."""
        assert _lead is not None, "workers have no shape"
        while not _lead.may_begin and not _lead.is_over:
            gevent.sleep(LOOK_EVERY_S)
        return None if _lead.is_over else (_lead.crowds, float(_lead.crowds))


class Arrivals(User):
    """Stands for the schedule of its process, which begins every call of its part of the demand at its time."""

    @task
    def stand(self) -> None:
        """Nothing: what is to be sent does not wait for users."""
        gevent.sleep(1.0)


def _lead_in(directory: Path, runner: MasterRunner | LocalRunner) -> Lead:
    def tell(client: str, message: Message) -> None:
        if _member is not None:
            _member.hear(message)
        else:
            runner.send_message(TALK, dict(message), client_id=client)

    plan = Plan.from_json((directory / PLAN_FILE).read_bytes())
    return Lead(plan, json.loads(os.environ[TOKENS]), VERSION, directory, tell)


def _look_for_ever(lead: Lead, directory: Path, runner: MasterRunner | LocalRunner) -> None:
    looks = 0
    while not lead.is_over:
        gevent.sleep(LOOK_EVERY_S)
        looks += 1
        if looks % LOOKS_TO_REMIND == 0:
            lead.remind()
        file = directory / BEGIN_FILE
        if not lead.may_begin and file.exists():
            lead.set_pace(Pace(**orjson.loads(file.read_bytes())))
        if isinstance(runner, MasterRunner):
            lead.look_after([client.id for client in runner.clients.all if client.state != STATE_MISSING])


def _listen_as_lead(environment: Environment, runner: MasterRunner | LocalRunner, directory: Path) -> None:
    global _lead, _member  # noqa: PLW0603 - Locust's shape and events have no other way to them
    lead = _lead = _lead_in(directory, runner)
    if isinstance(runner, LocalRunner):
        member = Member(environment, NAME, VERSION, lambda message: lead.hear(NAME, message), lambda _: None)
        _member = member
        member.join()
    else:
        runner.register_message(TALK, lambda msg, **_: lead.hear(msg.node_id, msg.data))
    hooks: Any = environment.events
    hooks.spawning_complete.add_listener(lambda **_: lead.begin())
    hooks.quitting.add_listener(lambda **_: lead.close())
    # Locust's own handler comes too late: not until a test that begins by itself is over
    gevent.signal_handler(signal.SIGTERM, runner.quit)
    gevent.spawn(_look_for_ever, lead, directory, runner)


def _listen_as_worker(environment: Environment, runner: WorkerRunner) -> None:
    global _member  # noqa: PLW0603 - see above
    heard_at_s = time.monotonic()
    is_quitting = False

    def leave(code: int) -> None:
        environment.process_exit_code = code
        if not is_quitting:
            gevent.spawn(runner.quit)

    def alive(**_: Any) -> None:
        nonlocal heard_at_s
        heard_at_s = time.monotonic()

    def quitting(**_: Any) -> None:
        nonlocal is_quitting
        is_quitting = True
        if time.monotonic() - heard_at_s > cipher.MASTER_MISSING_AFTER_S / 2:
            member.end(BROKEN, f"nothing was heard of the master for {cipher.MASTER_MISSING_AFTER_S} s")
        member.end(BROKEN, "the run was ended before this worker's part was done")
        environment.process_exit_code = member.code

    member = _member = Member(
        environment, NAME, VERSION, lambda message: runner.send_message(TALK, dict(message)), leave
    )
    runner.register_message(TALK, lambda msg, **_: member.hear(msg.data))
    hooks: Any = environment.events
    hooks.heartbeat_received.add_listener(alive)
    hooks.quitting.add_listener(quitting)
    member.join()


def _keep_page_fresh(runner: MasterRunner | LocalRunner, web_ui: WebUI) -> None:
    """Locust's page does not notice a test that it has not begun: until then, have browsers look again."""

    def look_again(response: Response) -> Response:
        if runner.state == STATE_INIT:
            response.headers["Refresh"] = "2"
        return response

    assert web_ui.app is not None
    web_ui.app.after_request(look_again)


def _listen(environment: Environment, web_ui: WebUI | None, **_: Any) -> None:
    runner = environment.runner
    directory = os.environ.get(DIRECTORY)
    if isinstance(runner, WorkerRunner):
        _listen_as_worker(environment, runner)
    elif directory is not None:
        assert isinstance(runner, MasterRunner | LocalRunner)
        _listen_as_lead(environment, runner, Path(directory))
        if web_ui is not None:
            _keep_page_fresh(runner, web_ui)


def _give_up() -> None:
    """Locust itself would knock for five minutes, and not say why nobody opens."""
    if _member is None or not _member.was_heard:
        sys.stderr.write(
            f"peakproof: the master did not let this worker in within {LET_IN_WITHIN_S:g} s: {SECRET} is another there,"
            " or something else listens at that address\n"
        )
        sys.stderr.flush()
        os._exit(REFUSED)


def _prepare_sockets() -> None:
    cipher.be_patient()
    if SECRET in os.environ:
        cipher.lock(os.environ[SECRET])
    if DIRECTORY not in os.environ:
        gevent.spawn_later(LET_IN_WITHIN_S, _give_up)


_prepare_sockets()
events.init.add_listener(_listen)  # type: ignore[no-untyped-call]
