-- name: order_ack_ms
-- summary: Time from sending an order to its acknowledgement, for every attempt that was answered ok and is no
--   replay, per channel
-- clock: protocol
-- unit: ms
-- requires: operations
-- yields: samples

SELECT (completed_at_us - invoked_at_us) / 1e3 / (SELECT speed FROM pace) AS value, channel AS "group"
FROM operations
WHERE operation = 'place_order' AND outcome = 'ok' AND NOT coalesce(replayed, FALSE)
