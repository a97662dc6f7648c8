-- name: peak_throughput_per_hour
-- summary: Orders accepted in the busiest 60 minutes (max), and on average per hour from first to last (avg)
-- clock: business
-- unit: orders per hour
-- requires: operations
-- yields: statistics

WITH sliding AS (
    SELECT count(*) OVER (
        ORDER BY first_ok_us RANGE BETWEEN 3_599_999_999 PRECEDING AND CURRENT ROW
    ) AS orders, first_ok_us
    FROM intents WHERE first_ok_us IS NOT NULL
),
totals AS (
    SELECT max(orders)::DOUBLE AS max,
        count(*) * 3.6e9 / greatest(max(first_ok_us) - min(first_ok_us), 3_600_000_000) AS avg
    FROM sliding HAVING count(*) > 0
)
SELECT NULL::VARCHAR AS "group", unnest(['max', 'avg']) AS statistic, unnest([max, avg]) AS value FROM totals
