-- name: on_time_shipment
-- summary: Whether an order that was wholly confirmed before 14:00 UTC was wholly shipped the same day (1) or not
--   (0), per channel
-- clock: business
-- unit: share
-- requires: operations, ledger
-- yields: samples
--
-- The cut-off is the field's usual one: what is ordered by 14:00 ships the same day, 99% of the time.
-- Cancelled orders do not count.

WITH due AS (
    SELECT
        intent, sum(confirmed) AS units, any_value(first_ok_us) AS accepted_us,
        any_value(first_ok_us) // 86_400_000_000 * 86_400_000_000 AS day_us
    FROM promised
    GROUP BY intent
    HAVING sum(backordered) = 0 AND any_value(first_ok_us) % 86_400_000_000 < 14 * 3_600_000_000
)
SELECT
    (coalesce(-sum(s.quantity) FILTER (WHERE s.at_us < d.day_us + 86_400_000_000), 0) >= d.units)::INTEGER AS value,
    any_value(i.channel) AS "group"
FROM due AS d
JOIN intents AS i USING (intent)
LEFT JOIN (SELECT * FROM books WHERE kind = 'shipped') AS s ON s.intent = d.intent
WHERE d.intent NOT IN (SELECT intent FROM cancels WHERE NOT refused)
GROUP BY d.intent, d.units, d.day_us
