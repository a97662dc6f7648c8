-- name: recovery_time_s
-- summary: Time from the end of a fault window until the queues were back to what they were before it, per fault
-- clock: protocol
-- unit: s
-- requires: faults, gauges
-- yields: samples
--
-- Only faults with an end count. Resolution is the sampling interval of the gauges. What empties a queue are calls: no
-- wave or poll has to come first.

WITH depth AS (
    SELECT at_us, sum(value) AS depth FROM gauges WHERE name = 'queue_depth' GROUP BY at_us
),
windows AS (
    SELECT fault, min(from_us) AS from_us, max(to_us) AS to_us
    FROM faults WHERE event = 'window' AND to_us IS NOT NULL
    GROUP BY fault
),
levels AS (
    SELECT w.fault, w.from_us, w.to_us, coalesce(d.depth, 0) AS before
    FROM windows AS w
    ASOF LEFT JOIN depth AS d ON w.from_us >= d.at_us
)
SELECT (min(d.at_us) - l.to_us) / 1e6 / (SELECT speed FROM pace) AS value, l.fault AS "group"
FROM levels AS l
JOIN depth AS d ON d.at_us >= l.to_us AND d.depth <= l.before
GROUP BY l.fault, l.to_us
