-- name: dead_letters
-- summary: Messages that ended as dead letters: at the end (value) and at most (max), over all and per lane
-- clock: count
-- unit: messages
-- requires: gauges
-- yields: statistics
--
-- The integration's own word: useful, never proof. `count` is the same as `value`, so that count==0 reads naturally.

WITH lanes AS (
    SELECT location, at_us, seq, sum(value) AS value
    FROM gauges WHERE name = 'dead_letters'
    GROUP BY location, at_us, seq
),
per_lane AS (
    SELECT location, arg_max(value, (at_us, seq)) AS value, max(value) AS max FROM lanes GROUP BY location
),
summed AS (
    SELECT location, sum(value) AS value, sum(max) AS max FROM per_lane GROUP BY GROUPING SETS ((), (location))
)
SELECT location AS "group", unnest(['value', 'count', 'max']) AS statistic, unnest([value, value, max]) AS value
FROM summed
WHERE value IS NOT NULL
