"""Thresholds are read in k6's grammar, and what cannot be read is named together with what was probably meant."""

import pytest

from scenarios.thresholds import ThresholdError, known_metrics, parse


@pytest.mark.parametrize(
    ("expression", "statistic", "percentile", "operator", "limit"),
    [
        ("p(95)<800", "p(95)", 95.0, "<", 800.0),
        (" p( 99.9 ) <= 1.5e3 ", "p(99.9)", 99.9, "<=", 1_500.0),
        ("rate<0.01", "rate", None, "<", 0.01),
        ("count==0", "count", None, "==", 0.0),
        ("count===0", "count", None, "===", 0.0),
        ("value!=-1", "value", None, "!=", -1.0),
        ("max>=3", "max", None, ">=", 3.0),
    ],
)
def test_an_expression_is_taken_apart(
    expression: str, statistic: str, percentile: float | None, operator: str, limit: float
) -> None:
    read = parse("order_ack_ms", expression)
    assert (read.statistic, read.percentile, read.operator, read.limit) == (statistic, percentile, operator, limit)
    assert (read.metric, read.group, read.label) == ("order_ack_ms", "", "order_ack_ms")
    assert read.expression == expression.strip()


def test_a_threshold_may_be_on_one_group() -> None:
    read = parse("queue_depth{wms-east}", "max<5")
    assert (read.metric, read.group, read.label) == ("queue_depth", "wms-east", "queue_depth{wms-east}")


@pytest.mark.parametrize(
    ("expression", "observed", "holds"),
    [
        ("avg<1", 1.0, False),
        ("avg<=1", 1.0, True),
        ("avg>1", 1.0, False),
        ("avg==1", 1.0, True),
        ("avg!=1", 1.0, False),
    ],
)
def test_a_limit_is_compared_as_written(expression: str, observed: float, holds: bool) -> None:
    assert parse("order_ack_ms", expression).holds(observed) is holds


def test_an_unknown_metric_is_named_with_the_nearest() -> None:
    with pytest.raises(ThresholdError, match=r"unknown metric 'order_ack'; did you mean 'order_ack_ms'\?"):
        parse("order_ack", "p(95)<800")


@pytest.mark.parametrize(
    ("metric", "expression", "message"),
    [
        ("order_ack_ms", "p(95) 800", r"'p\(95\) 800' on 'order_ack_ms': write <statistic><operator><number>"),
        ("order_ack_ms", "p(101)<1", "a percentile lies between 0 and 100"),
        ("order_ack_ms", "mean<1", "unknown statistic 'mean'"),
        ("order_ack_ms", "p95<800", r"write <statistic><operator><number>"),
        ("queue_depth{", "max<5", r"'queue_depth\{': write a metric's name"),
    ],
)
def test_what_cannot_be_read_is_shown(metric: str, expression: str, message: str) -> None:
    with pytest.raises(ThresholdError, match=message):
        parse(metric, expression)


def test_there_are_at_least_the_metrics_that_are_promised() -> None:
    assert set(known_metrics()) == {
        "backorder_update_s", "calls_per_order", "dead_letters", "duplicate_rejection_rate", "fill_rate",
        "inventory_poll_lag_s", "inventory_sync_lag_s", "invoice_availability_s", "on_time_shipment", "order_ack_ms",
        "order_cycle_hours", "order_to_booking_s", "order_wait_ms", "orders_awaiting_erp", "peak_throughput_per_hour",
        "price_validation_failures", "queue_depth", "recovery_time_s", "shipment_event_lag_s",
    }  # fmt: skip
