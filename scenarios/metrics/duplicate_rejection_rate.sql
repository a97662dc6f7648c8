-- name: duplicate_rejection_rate
-- summary: Whether a repeated order was answered without making a second one (1): replayed, refused as used or in
--   flight, or the same order
-- clock: count
-- unit: share
-- requires: operations
-- yields: samples
--
-- A repetition is an attempt that began after the client had an ok answer for the same order reference.

SELECT
    (o.outcome <> 'ok' OR coalesce(o.replayed, FALSE) OR o.order_id IS NOT DISTINCT FROM i.order_id)::INTEGER AS value,
    o.channel AS "group"
FROM operations AS o
JOIN intents AS i USING (customer_id, order_reference)
WHERE o.operation = 'place_order' AND o.invoked_at_us >= i.first_ok_us AND o.status IS NOT NULL
