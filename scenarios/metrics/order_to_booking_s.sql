-- name: order_to_booking_s
-- summary: Time from an acknowledgement to the ERP booking of the order, per channel
-- clock: protocol
-- unit: s
-- requires: operations, ledger
-- yields: samples
--
-- A queue, a call and its repetitions: no wave or poll lies between.

SELECT greatest(min(b.at_us) - any_value(i.first_ok_us), 0) / 1e6 / (SELECT speed FROM pace) AS value, any_value(i.channel) AS "group"
FROM books AS b
JOIN intents AS i USING (intent)
WHERE b.kind = 'order_booked' AND i.first_ok_us IS NOT NULL
GROUP BY intent
