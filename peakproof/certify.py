"""`peakproof certify`: is this partner fit to be onboarded?"""

from pathlib import Path
from urllib.parse import urlsplit

import click

from peakproof.certification.data import ROLES, Limits, check_credentials, read_test_data, read_waivers
from peakproof.certification.errors import CertificationError
from peakproof.certification.probes import probes_of
from peakproof.certification.run import PROFILE_FILE, SOURCES, Certified, Plan, known_probes
from peakproof.certification.run import certify as make_probes
from peakproof.certification.session import Finding
from peakproof.certification.waiting import SECOND_US, WallClock
from peakproof.console import say, shown_path, stdout
from peakproof.run import RUNS, free_directory
from reports.certification import BADGES, LOG_FILE, RESULT_FILE, write_junit, write_page
from scenarios.durations import parse_duration

_STYLES = {"fit": "bold green", "unfit": "bold red", "undecided": "bold yellow"}


def _duration(_context: click.Context, _parameter: click.Parameter, value: str) -> int:
    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.argument("role", type=click.Choice(ROLES))
@click.option("--url", required=True, help="Base URL of the partner's test system.")
@click.option(
    "--test-data", "test_data", required=True, type=click.Path(path_type=Path), help="YAML: what may be used."
)
@click.option("--waivers", type=click.Path(path_type=Path), help="YAML: known findings, why and until when.")
@click.option("--max-requests", default=400, show_default=True, type=click.IntRange(1), help="Never send more.")
@click.option(
    "--max-per-second", default=5.0, show_default=True, type=click.FloatRange(0, min_open=True), help="Nor faster."
)
@click.option("--allow-charges", is_flag=True, help="Also call operations that cost money.")
@click.option("--patience", default="60s", show_default=True, callback=_duration, help="Longest wait of one probe.")
@click.option("--timeout", default="10s", show_default=True, callback=_duration, help="Longest wait for one answer.")
@click.option("--listen-url", default="", help="URL at which the partner reaches the webhook listener.")
@click.option("--listen-on", default="", help="HOST:PORT to listen on.  [default: those of --listen-url]")
@click.option("--only", multiple=True, help="Make only this probe; may be repeated.")
@click.option("--seed", default=1, show_default=True, type=int, help="Goes into the names of all that is ordered.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help=f"Directory.  [default: {RUNS}/certify-ROLE]"
)
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), help="Also write JUnit XML to this file.")
def certify(
    role: str,
    url: str,
    test_data: Path,
    waivers: Path | None,
    max_requests: int,
    max_per_second: float,
    allow_charges: bool,
    patience: int,
    timeout: int,
    listen_url: str,
    listen_on: str,
    only: tuple[str, ...],
    seed: int,
    out: Path | None,
    junit: Path | None,
) -> int:
    """Certify a partner of ROLE over HTTP: schemas, pacts, fuzzing and behaviour probes, within a stated budget.

    Ends with 0 when it is fit, 1 when it is not, 4 when something blocking could not be looked at.
    """
    if junit is not None and not junit.parent.is_dir():
        raise click.BadParameter(f"{junit.parent} is no directory; make it first", param_hint="--junit")
    asked = next(each for each in ROLES if each == role)
    data = read_test_data(test_data)
    check_credentials(asked, data.credentials)
    _check_only(only, (*(probe.name for probe in probes_of(asked)), *SOURCES))
    plan = Plan(
        asked,
        _checked_url(url, "--url"),
        data,
        Limits(max_requests, max_per_second, allow_charges, patience),
        read_waivers(waivers, known_probes(asked)),
        listen_url and _checked_url(listen_url, "--listen-url"),
        _address(listen_url, listen_on),
        seed,
        frozenset(only),
    )
    directory = out or free_directory(RUNS, f"certify-{role}")
    certified = _made(plan, timeout, directory)
    page = write_page(directory)
    if junit is not None:
        write_junit(directory, junit)
    _show(certified, directory, page)
    return certified.verdict.exit_code


def _made(plan: Plan, timeout_us: int, directory: Path) -> Certified:
    """Certify over real HTTP, telling each finding as it comes."""
    try:
        from peakproof.certification.http import HttpTransport  # noqa: PLC0415 - httpx comes with an extra
    except ModuleNotFoundError as error:
        raise CertificationError(f'{error.name} is missing; pip install "peakproof[contracts]"') from error
    _claim(directory)
    console, clock = stdout(), WallClock()
    transport = HttpTransport(plan.url, clock.now_us, timeout_us / SECOND_US)

    def show(finding: Finding) -> None:
        say(console, f"{finding.outcome:<13}{finding.probe:<28} {finding.said}")

    try:
        return make_probes(plan, transport, clock, directory, more=SOURCES, progress=show)
    finally:
        transport.close()


def _show(certified: Certified, directory: Path, page: Path) -> None:
    console, verdict = stdout(), certified.verdict
    console.print(BADGES[verdict.standing], style=_STYLES[verdict.standing], end="  ")
    say(console, f"{verdict.headline}; {verdict.score} of 100 points")
    say(console, f"Report     {shown_path(page)}")
    if certified.learned is not None:
        say(console, f"Profile    {shown_path(directory / PROFILE_FILE)}")


def _check_only(only: tuple[str, ...], known: tuple[str, ...]) -> None:
    for name in only:
        if name not in known:
            raise click.BadParameter(f"no probe {name!r}; one of {', '.join(known)}", param_hint="--only")


def _checked_url(url: str, option: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.BadParameter(f"{url!r} is no http or https URL such as https://partner.example", param_hint=option)
    if parts.username or parts.password:
        said = "credentials belong into the test data or the environment, not into a URL"
        raise click.BadParameter(said, param_hint=option)
    try:
        _ = parts.port
    except ValueError as error:
        raise click.BadParameter(f"{url!r}: {error}", param_hint=option) from error
    return url.rstrip("/")


def _address(listen_url: str, listen_on: str) -> tuple[str, int] | None:
    """Host and port to listen on; None without a listener."""
    if not listen_url:
        if listen_on:
            raise click.BadParameter("say by --listen-url how the partner reaches it", param_hint="--listen-on")
        return None
    if not listen_on:
        parts = urlsplit(listen_url)
        return parts.hostname or "127.0.0.1", parts.port or (443 if parts.scheme == "https" else 80)
    host, _, port = listen_on.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise click.BadParameter(f"{listen_on!r} is no HOST:PORT such as 0.0.0.0:8080", param_hint="--listen-on")
    return host, int(port)


def _claim(directory: Path) -> None:
    """Make the directory; one that holds anything but a certification is left alone."""
    others = {path.name for path in directory.iterdir()} - {LOG_FILE} if directory.is_dir() else set()
    if others and RESULT_FILE not in others:
        said = f"{directory} holds other files and no certification; name a new or an empty directory"
        raise click.BadParameter(said, param_hint="--out")
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.BadParameter(f"{directory} can't be made ({error.strerror})", param_hint="--out") from error
