-- name: invoice_availability_s
-- summary: Time from the news of a shipment to its invoice in the ERP, per node
-- clock: protocol
-- unit: s
-- requires: ledger, exchanges, facts
-- yields: samples
--
-- News is the first attempt to tell of it by webhook, or the next answer of a node that has to be asked; what was never
-- told of counts from the shipment. How old the news is says shipment_event_lag_s.

WITH shipments AS (
    SELECT customer_id, order_reference, shipment_id, partner, any_value(correlation_id) AS correlation_id,
        min(at_us) AS at_us
    FROM ledger WHERE kind = 'shipped'
    GROUP BY customer_id, order_reference, shipment_id, partner
),
told AS (
    SELECT source AS partner, correlation_id, sent_at_us FROM exchanges WHERE event_type = 'release.shipped'
),
polled AS (
    SELECT target AS partner, sent_at_us, min(completed_at_us) AS completed_at_us
    FROM exchanges
    WHERE method = 'GET' AND route = '/fulfillment-orders' AND status = 200 AND outcome = 'answered'
    GROUP BY target, sent_at_us
),
news AS (
    SELECT s.*, coalesce(t.sent_at_us, p.completed_at_us, s.at_us) AS news_us
    FROM shipments AS s
    ASOF LEFT JOIN told AS t
        ON t.partner = s.partner AND t.correlation_id = s.correlation_id AND s.at_us <= t.sent_at_us
    ASOF LEFT JOIN polled AS p ON p.partner = s.partner AND s.at_us <= p.sent_at_us
)
SELECT greatest(i.at_us - n.news_us, 0) / 1e6 / (SELECT speed FROM pace) AS value, n.partner AS "group"
FROM news AS n
JOIN (
    SELECT customer_id, order_reference, shipment_id, min(at_us) AS at_us
    FROM ledger WHERE kind = 'invoiced'
    GROUP BY ALL
) AS i USING (customer_id, order_reference, shipment_id)
