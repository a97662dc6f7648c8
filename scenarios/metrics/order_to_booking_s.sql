-- name: order_to_booking_s
-- summary: Time from an acknowledgement to the ERP booking of the order, per channel
-- clock: business
-- unit: s
-- requires: operations, ledger
-- yields: samples

SELECT greatest(min(b.at_us) - any_value(i.first_ok_us), 0) / 1e6 AS value, any_value(i.channel) AS "group"
FROM books AS b
JOIN intents AS i USING (intent)
WHERE b.kind = 'order_booked' AND i.first_ok_us IS NOT NULL
GROUP BY intent
