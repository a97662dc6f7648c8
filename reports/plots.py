"""Charts over simulated time, as plain figure data for Plotly.

Every figure is a dict of Plotly's `data` and `layout`. Colors are written `var(--name)`: the page resolves them
against its style sheet, so that charts follow the light or dark theme. Fault windows lie behind the curves as numbered
bands.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from reports.rundir import Run
from reports.words import clock

_MINUTE_US = 60_000_000
_HOUR_US = 60 * _MINUTE_US
_DAYS_28_US = 28 * 24 * _HOUR_US
_SAMPLE_US = 5 * _MINUTE_US
_MOST_POINTS = 2_000
MOST_SKUS = 6
WIDE_SPREAD = 40.0
_COLORS = 6

Points = list[tuple[int, float | None]]


@dataclass(frozen=True)
class Chart:
    """One figure with its heading. `note` says what the curves are and where the numbers come from."""

    key: str
    title: str
    note: str
    figure: dict[str, Any]
    wide: bool = False


@dataclass(frozen=True)
class FaultBand:
    """A fault window as listed; `number` ties a shaded one to its row in the table.

    Windows that cover most of the load are not shaded (`number` 0): a chart that is red all over says nothing.
    """

    number: int
    fault: str
    kind: str
    target: str
    from_us: int
    to_us: int | None
    strikes: int
    first_us: int | None
    last_us: int | None


def fault_bands(run: Run) -> list[FaultBand]:
    """All planned windows with how often each struck: the shaded ones by time, then those in force all along."""
    rows = [row | {"target": row["target"].replace(" -> ", " → ")} for row in run.rows(_BANDS)]
    loaded_us = (run.file.load_ended_at_us or run.ended_at_us) - run.file.started_at_us
    shaded = [row for row in rows if row["to_us"] is not None and row["to_us"] - row["from_us"] <= loaded_us // 2]
    numbered = [FaultBand(number, **row) for number, row in enumerate(shaded, start=1)]
    return [*numbered, *(FaultBand(0, **row) for row in rows if row not in shaded)]


_BANDS = """
WITH strikes AS (
  SELECT fault, count(*) AS strikes, min(from_us) AS first_us, max(from_us) AS last_us
  FROM faults WHERE event = 'strike' GROUP BY fault
), windows AS (
  SELECT fault, kind, target, from_us, to_us FROM faults WHERE event = 'window'
  UNION ALL
  SELECT fault, any_value(kind), any_value(target), min(from_us), max(coalesce(to_us, from_us)) FROM faults
  WHERE event = 'strike' AND fault NOT IN (SELECT fault FROM faults WHERE event = 'window') GROUP BY fault
)
SELECT fault, kind, target, from_us, to_us, coalesce(strikes, 0) AS strikes, first_us, last_us
FROM windows LEFT JOIN strikes USING (fault) ORDER BY from_us, fault
"""


def charts(run: Run, bands: list[FaultBand]) -> list[Chart]:
    """Every chart that the evidence has data for."""
    drawn = [draw(run) for draw in _CHARTS]
    return [_with_faults(chart, run, bands) for chart in drawn if chart is not None]


# The charts, one function each: None when the evidence has nothing to draw.


def _open_orders(run: Run) -> Chart | None:
    counts = _cumulative(run)
    if not any(counts.values()):
        return None
    stages = list(counts)
    traces = []
    for place, (stage, following) in enumerate(pairwise(stages)):
        waiting: Points = [
            (at_us, max(0.0, (came or 0) - (went or 0)))
            for (at_us, came), (_, went) in zip(counts[stage], counts[following], strict=True)
        ]
        traces.append(_area(_WAITING[stage], waiting, place))
    note = "Orders by what they wait for next, from the partners' own books."
    return Chart("open-orders", "Orders in work", note, _figure(traces, "orders"), wide=True)


_WAITING = {
    "accepted": "waiting for the ERP",
    "booked": "waiting to be released",
    "released": "in the warehouse",
    "shipped": "waiting for the invoice",
}


def _progress(run: Run) -> Chart | None:
    counts = _cumulative(run)
    if not any(counts.values()):
        return None
    traces = [_line(stage, points, place) for place, (stage, points) in enumerate(counts.items())]
    note = "Cumulative: orders accepted, booked by the ERP, released, first shipped and first invoiced."
    return Chart("progress", "Orders through the stages", note, _figure(traces, "orders"))


def _cumulative(run: Run) -> dict[str, Points]:
    """Per stage, how many orders had reached it by the end of each bucket."""
    bucket_us = _bucket_us(run) // 3
    firsts = {stage: [row["at_us"] for row in run.rows(sql)] for stage, sql in _FIRST_AT.items()}
    if not any(firsts.values()):
        return {stage: [] for stage in firsts}
    start_us = run.file.started_at_us
    end_us = max(run.ended_at_us, *(times[-1] for times in firsts.values() if times))
    ticks = range(start_us, end_us + bucket_us, bucket_us)
    return {stage: _reached(times, ticks) for stage, times in firsts.items()}


def _reached(times: list[int], ticks: Iterable[int]) -> Points:
    points: Points = []
    reached = 0
    for tick_us in ticks:
        while reached < len(times) and times[reached] <= tick_us:
            reached += 1
        points.append((tick_us, float(reached)))
    return points


def _first_booking(kind: str) -> str:
    return (
        f"SELECT min(at_us) AS at_us FROM ledger WHERE kind = '{kind}' AND order_reference <> ''"
        " GROUP BY customer_id, order_reference ORDER BY at_us"
    )


_FIRST_AT = {
    "accepted": "SELECT min(completed_at_us) AS at_us FROM operations WHERE operation = 'place_order'"
    " AND outcome = 'ok' AND completed_at_us IS NOT NULL GROUP BY customer_id, order_reference ORDER BY at_us",
    "booked": _first_booking("order_booked"),
    "released": _first_booking("release_accepted"),
    "shipped": _first_booking("shipped"),
    "invoiced": _first_booking("invoice"),
}


def _queues(run: Run) -> Chart | None:
    series = _gauges(run, "source = 'integration' AND name = 'queue_depth'", "location")
    note = "Messages waiting per lane, highest sample of each interval. The integration's own word."
    return _series_chart("queues", "Queue depth per lane", note, "messages", series)


def _acknowledgement(run: Run) -> Chart | None:
    rows = run.rows(_ACKNOWLEDGED, [_bucket_us(run)])
    if not rows:
        return None
    traces = [
        _line(name, [(row["at_us"], row[column]) for row in rows], place)
        for place, (name, column) in enumerate((("median", "p50"), ("p95", "p95"), ("p99", "p99")))
    ]
    figure = _figure(traces, "ms")
    if max(row["p99"] for row in rows) > WIDE_SPREAD * max(1.0, min(row["p50"] for row in rows)):
        figure["layout"]["yaxis"] |= {"type": "log", "title": {"text": "ms, logarithmic"}}
    note = "From a client's first attempt to its first acceptance, by the minute it was asked."
    return Chart("acknowledgement", "Time to acknowledge an order", note, figure)


_ACKNOWLEDGED = """
WITH orders AS (
  SELECT min(invoked_at_us) AS asked_us, min(completed_at_us) FILTER (outcome = 'ok') AS told_us
  FROM operations WHERE operation = 'place_order' GROUP BY customer_id, order_reference
)
SELECT asked_us - asked_us % $1 AS at_us, quantile_cont((told_us - asked_us) / 1000.0, 0.5) AS p50,
  quantile_cont((told_us - asked_us) / 1000.0, 0.95) AS p95, quantile_cont((told_us - asked_us) / 1000.0, 0.99) AS p99
FROM orders WHERE told_us IS NOT NULL GROUP BY 1 ORDER BY 1
"""


def _stock(run: Run) -> Chart | None:
    series = _gauges(run, f"name = 'stock' AND sku IN ({_BUSIEST})", "sku", total=True)
    note = "On hand over all nodes, for the goods that shipped most."
    return _series_chart("stock", "Stock of the busiest goods", note, "units", series)


_BUSIEST = f"""
SELECT sku FROM (SELECT DISTINCT sku FROM gauges WHERE name = 'stock')
LEFT JOIN (SELECT sku, sum(-quantity) AS units FROM ledger WHERE kind = 'shipped' GROUP BY sku) USING (sku)
ORDER BY coalesce(units, 0) DESC, sku LIMIT {MOST_SKUS}
"""


def _utilization(run: Run) -> Chart | None:
    series = _gauges(run, "name LIKE '%utili_ation%'", "source")
    percent = {name: [(at, None if v is None else v * 100) for at, v in points] for name, points in series.items()}
    return _series_chart(
        "utilization", "How busy the partners' systems were", "Share of capacity in use.", "%", percent
    )


def _people(run: Run) -> Chart | None:
    series = _gauges(run, "name LIKE '%busy%'", "source", total=True)
    note = "Pickers and pack stations that were busy at each node, highest sample of each interval."
    return _series_chart("people", "Hands at work in the warehouses", note, "busy", series)


def _waiting(run: Run) -> Chart | None:
    series = _gauges(run, f"source <> 'integration' AND name IN ({_WAITS})", "source", total=True)
    note = "Calls, releases and orders in line inside each partner, highest sample of each interval."
    return _series_chart("waiting", "Waiting inside the partners", note, "waiting", series)


_WAITS = "'calls_waiting', 'queue', 'releases_waiting', 'pick_queue', 'pack_queue', 'dock'"

_CHARTS: tuple[Callable[[Run], Chart | None], ...] = (
    _open_orders,
    _progress,
    _acknowledgement,
    _queues,
    _stock,
    _utilization,
    _people,
    _waiting,
)


# From evidence to points.


def _gauges(run: Run, where: str, label: str, total: bool = False) -> dict[str, Points]:
    """Samples per label, the highest of each interval; `total` adds up what is sampled at one time under one label."""
    span_us = max(1, run.last_evidence_us - run.file.started_at_us)
    step_us = max(_SAMPLE_US if span_us > 6 * _HOUR_US else _MINUTE_US, span_us // _MOST_POINTS)
    rows = run.rows(_SAMPLES.format(label=label, where=where, merge="sum" if total else "max"), [step_us])
    series: dict[str, Points] = {}
    for row in rows:
        series.setdefault(row["label"] or "all", []).append((row["at_us"], row["value"]))
    return {name: _thinned(points) for name, points in series.items()}


def _thinned(points: Points) -> Points:
    """The points without those inside a level stretch: the line is the same, the page smaller."""
    inner = zip(points, points[1:], points[2:], strict=False)
    turning = [here for before, here, after in inner if not before[1] == here[1] == after[1]]
    return [*points[:1], *turning, *points[1:][-1:]]


_SAMPLES = """
WITH samples AS (
  SELECT {label} AS label, at_us, {merge}(value) AS value FROM gauges WHERE {where} GROUP BY ALL
)
SELECT label, at_us - at_us % $1 AS at_us, max(value) AS value FROM samples GROUP BY ALL ORDER BY label, at_us
"""


def _bucket_us(run: Run) -> int:
    """15 minutes over a day; finer over a short run, so that it has a shape at all. Divisible by three."""
    hours = (run.ended_at_us - run.file.started_at_us) / _HOUR_US
    return (15 if hours > 6 else 6 if hours > 2 else 3) * _MINUTE_US


def _series_chart(key: str, title: str, note: str, unit: str, series: dict[str, Points]) -> Chart | None:
    if not series:
        return None
    traces = [_line(name, points, _PLACES.get(name, place)) for place, (name, points) in enumerate(series.items())]
    return Chart(key, title, note, _figure(traces, unit))


# A partner has the same color in every chart.
_PLACES = {"erp": 0, "wms-east": 1, "wms-west": 2, "threepl": 3, "carrier": 4}


# From points to figures.


def moment(at_us: int) -> str:
    """A moment as Plotly's date axis reads it: UTC, without a zone."""
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _line(name: str, points: Points, place: int) -> dict[str, Any]:
    dash = "solid" if place < _COLORS else "dot"
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [moment(at_us) for at_us, _ in points],
        "y": [None if value is None else round(value, 3) for _, value in points],
        "line": {"color": f"var(--series-{place % _COLORS + 1})", "width": 2, "dash": dash},
        "hovertemplate": "%{y:,.4~r}",
    }


def _area(name: str, points: Points, place: int) -> dict[str, Any]:
    trace = _line(name, points, place)
    trace["line"] |= {"width": 1}
    return trace | {"stackgroup": "one", "fillcolor": f"var(--area-{place % _COLORS + 1})"}


def _figure(traces: list[dict[str, Any]], unit: str) -> dict[str, Any]:
    layout = {
        "showlegend": len(traces) > 1,
        "yaxis": {"title": {"text": unit}, "rangemode": "tozero", "tickformat": ",~r"},
        "xaxis": {"type": "date", "hoverformat": "%d %b %H:%M"},
        "shapes": [],
        "annotations": [],
    }
    return {"data": traces, "layout": layout}


def _with_faults(chart: Chart, run: Run, bands: list[FaultBand]) -> Chart:
    start_us = run.file.started_at_us
    last = moment(_busy_until_us(run))
    layout = chart.figure["layout"]
    layout["xaxis"] |= {"range": [moment(start_us), last], **_ticks(start_us, _busy_until_us(run), run.ended_at_us)}
    for band in (each for each in bands if each.number):
        until = moment(band.to_us) if band.to_us is not None else last
        layout["shapes"].append(_shade(moment(band.from_us), until))
        layout["annotations"].append(_tag(band, bands))
    return chart


def _busy_until_us(run: Run) -> int:
    """Where charts end at first sight: with the load, or when nearly all is booked; a long quiet tail hides the day."""
    late = run.rows("SELECT quantile_disc(at_us, 0.995) AS at_us FROM ledger WHERE kind <> 'scan'")[0]["at_us"]
    busy_us = max(run.file.load_ended_at_us or 0, late or 0, run.file.started_at_us + _MINUTE_US)
    return min(busy_us, run.ended_at_us) if run.ended_at_us > run.file.started_at_us else busy_us


def _shade(from_: str, to: str) -> dict[str, Any]:
    return {
        "type": "rect",
        "layer": "below",
        "xref": "x",
        "yref": "paper",
        "x0": from_,
        "x1": to,
        "y0": 0,
        "y1": 1,
        "fillcolor": "var(--fault-band)",
        "line": {"width": 0},
    }


def _tag(band: FaultBand, bands: list[FaultBand]) -> dict[str, Any]:
    """The number of a band at its left edge; bands that start close together have theirs in steps."""
    near = sum(other.number < band.number and band.from_us - other.from_us < _HOUR_US // 2 for other in bands)
    return {
        "xref": "x",
        "yref": "paper",
        "x": moment(band.from_us),
        "y": 1,
        "yshift": -14 * near,
        "xanchor": "left",
        "yanchor": "bottom",
        "showarrow": False,
        "text": str(band.number),
        "hovertext": f"{band.fault} ({band.kind.replace('_', ' ')} on {band.target})",
        "font": {"color": "var(--fault-ink)", "size": 11},
    }


def _ticks(start_us: int, busy_until_us: int, end_us: int) -> dict[str, Any]:
    """At most nine ticks at round times while there is work, and on to the end, said as in the rest of the page."""
    steps = (minutes * _MINUTE_US for minutes in (5, 15, 30, 60, 120, 180, 360, 720, 1_440, 2_880, 10_080))
    step_us = next((step for step in steps if busy_until_us - start_us <= 8 * step), _DAYS_28_US)
    times = range(start_us + -start_us % step_us, end_us + 1, step_us)
    texts = [clock(at_us, start_us).replace(" (", "<br>(") for at_us in times]
    return {"tickmode": "array", "tickvals": [moment(at_us) for at_us in times], "ticktext": texts}
