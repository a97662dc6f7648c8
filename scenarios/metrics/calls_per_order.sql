-- name: calls_per_order
-- summary: Calls of the integration to a partner on behalf of one order, per partner
-- clock: count
-- unit: calls
-- requires: exchanges
-- yields: samples

SELECT count(*) AS value, target AS "group"
FROM exchanges
WHERE source = 'integration' AND coalesce(correlation_id, '') <> '' AND copy = 0
GROUP BY correlation_id, target
