-- name: order_wait_ms
-- summary: Time from the moment at which an order was meant to be sent until its client first knew it accepted, over
--   all attempts, per channel
-- clock: protocol
-- unit: ms
-- requires: operations
-- yields: samples
--
-- An order that was sent late, since the client or the target was slow, has waited all the same: nothing is omitted.

SELECT (min(completed_at_us) FILTER (WHERE outcome = 'ok') - min(coalesce(intended_at_us, invoked_at_us))) / 1e3 / (SELECT speed FROM pace) AS value, channel AS "group"
FROM operations
WHERE operation = 'place_order'
GROUP BY channel, customer_id, order_reference
