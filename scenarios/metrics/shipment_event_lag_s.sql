-- name: shipment_event_lag_s
-- summary: Time from a shipment in a node's books until the integration had been told of it, per node
-- clock: business
-- unit: s
-- requires: ledger, exchanges, facts
-- yields: samples

WITH shipments AS (
    SELECT partner, correlation_id, shipment_id, min(at_us) AS at_us
    FROM ledger WHERE kind = 'shipped'
    GROUP BY partner, correlation_id, shipment_id
),
told AS (
    SELECT source, correlation_id, completed_at_us
    FROM exchanges
    WHERE event_type = 'release.shipped' AND status BETWEEN 200 AND 299 AND completed_at_us IS NOT NULL
),
polled AS (
    SELECT target, sent_at_us, min(completed_at_us) AS completed_at_us
    FROM exchanges
    WHERE method = 'GET' AND route LIKE '/fulfillment-orders%' AND status = 200 AND outcome = 'answered'
    GROUP BY target, sent_at_us
)
SELECT (t.completed_at_us - s.at_us) / 1e6 AS value, s.partner AS "group"
FROM shipments AS s
ASOF JOIN told AS t ON t.source = s.partner AND t.correlation_id = s.correlation_id AND s.at_us <= t.completed_at_us
UNION ALL
SELECT (p.completed_at_us - s.at_us) / 1e6, s.partner
FROM shipments AS s
ASOF JOIN polled AS p ON p.target = s.partner AND s.at_us <= p.sent_at_us
