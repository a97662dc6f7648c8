-- name: price_validation_failures
-- summary: Whether an order was refused for its price (1) or not (0), per customer segment
-- clock: count
-- unit: share
-- requires: operations
-- yields: samples

SELECT
    (coalesce(problem_key(problem), '') IN ('price-mismatch', 'no-contract-price'))::INTEGER AS value,
    coalesce(segment, '') AS "group"
FROM operations
WHERE operation = 'place_order' AND outcome IN ('ok', 'fail') AND NOT coalesce(replayed, FALSE)
