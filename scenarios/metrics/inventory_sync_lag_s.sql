-- name: inventory_sync_lag_s
-- summary: Time from a change of stock in a node's books until the integration had been told of it, per node
-- clock: business
-- unit: s
-- requires: ledger, exchanges, facts
-- yields: samples
--
-- A warehouse tells by webhook, from the first attempt on; a 3PL is asked: the next stock poll that was answered
-- counts.

WITH told AS (
    SELECT
        source AS node, min(sent_at_us) AS from_us,
        min(completed_at_us) FILTER (WHERE status BETWEEN 200 AND 299) AS to_us
    FROM exchanges
    WHERE event_type IN ('inventory.changed', 'release.picked', 'release.shipped') AND copy = 0
    GROUP BY source, key
),
polled AS (
    SELECT target AS node, sent_at_us, min(completed_at_us) AS completed_at_us
    FROM exchanges
    WHERE method = 'GET' AND route = '/stock' AND status = 200 AND outcome = 'answered'
        AND target IN (SELECT node FROM nodes WHERE kind = 'threepl')
    GROUP BY target, sent_at_us
)
SELECT (to_us - from_us) / 1e6 AS value, node AS "group" FROM told WHERE to_us IS NOT NULL
UNION ALL
SELECT (p.completed_at_us - l.at_us) / 1e6, l.partner
FROM (
    SELECT partner, at_us FROM ledger
    WHERE balance IS NOT NULL AND kind <> 'opening' AND partner IN (SELECT node FROM nodes WHERE kind = 'threepl')
) AS l
ASOF JOIN polled AS p ON p.node = l.partner AND l.at_us <= p.sent_at_us
