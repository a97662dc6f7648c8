-- name: orders_awaiting_erp
-- summary: Accepted orders that the ERP has not booked yet: most at once (max), mean over time (avg), and order-hours
--   (area)
-- clock: business
-- unit: orders
-- requires: operations, ledger
-- yields: statistics
--
-- `value` is how many wait at the end.

WITH steps AS (
    SELECT at_us, sum(sum(change)) OVER (ORDER BY at_us ROWS UNBOUNDED PRECEDING) AS waiting,
        lead(at_us) OVER (ORDER BY at_us) AS until_us
    FROM (
        SELECT first_ok_us AS at_us, 1 AS change FROM intents WHERE first_ok_us IS NOT NULL
        UNION ALL
        SELECT greatest(min(b.at_us), any_value(i.first_ok_us)), -1
        FROM books AS b JOIN intents AS i USING (intent)
        WHERE b.kind = 'order_booked' AND i.first_ok_us IS NOT NULL
        GROUP BY intent
    )
    GROUP BY at_us
),
totals AS (
    SELECT
        max(waiting) AS max, sum(waiting * (until_us - at_us)::DOUBLE) / 3.6e9 AS area,
        sum(waiting * (until_us - at_us)::DOUBLE) / nullif(max(until_us) - min(at_us), 0) AS avg,
        arg_max(waiting, at_us) AS value
    FROM steps
)
SELECT NULL::VARCHAR AS "group", unnest(['max', 'area', 'avg', 'value']) AS statistic,
    unnest([max::DOUBLE, area, avg, value::DOUBLE]) AS value
FROM totals
