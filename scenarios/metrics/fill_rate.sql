-- name: fill_rate
-- summary: Share of the ordered units that were confirmed at acceptance, over all and per channel
-- clock: count
-- unit: share
-- requires: operations
-- yields: statistics

SELECT i.channel AS "group", 'value' AS statistic, sum(p.confirmed) / sum(p.ordered) AS value
FROM promised AS p
JOIN intents AS i USING (intent)
GROUP BY GROUPING SETS ((), (i.channel))
HAVING sum(p.ordered) > 0
