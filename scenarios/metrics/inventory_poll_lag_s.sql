-- name: inventory_poll_lag_s
-- summary: Time from a change of stock in the books of a node that has to be asked until the next stock poll was
--   answered, per node
-- clock: business
-- unit: s
-- requires: ledger, exchanges, facts
-- yields: samples

WITH polled AS (
    SELECT target AS node, sent_at_us, min(completed_at_us) AS completed_at_us
    FROM exchanges
    WHERE method = 'GET' AND route = '/stock' AND status = 200 AND outcome = 'answered'
        AND target IN (SELECT node FROM nodes WHERE kind = 'threepl')
    GROUP BY target, sent_at_us
)
SELECT (p.completed_at_us - l.at_us) / 1e6 AS value, l.partner AS "group"
FROM (
    SELECT partner, at_us FROM ledger
    WHERE balance IS NOT NULL AND kind <> 'opening' AND partner IN (SELECT node FROM nodes WHERE kind = 'threepl')
) AS l
ASOF JOIN polled AS p ON p.node = l.partner AND l.at_us <= p.sent_at_us
