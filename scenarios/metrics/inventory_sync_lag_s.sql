-- name: inventory_sync_lag_s
-- summary: Time from a node's first attempt to tell by webhook of a change of stock until the integration had taken it
--   in, per node
-- clock: protocol
-- unit: s
-- requires: exchanges
-- yields: samples
--
-- How old the picture of a node is that has to be asked says inventory_poll_lag_s.

SELECT
    (min(completed_at_us) FILTER (WHERE status BETWEEN 200 AND 299) - min(sent_at_us)) / 1e6
        / (SELECT speed FROM pace) AS value,
    source AS "group"
FROM exchanges
WHERE event_type IN ('inventory.changed', 'release.picked', 'release.shipped') AND copy = 0
GROUP BY source, key
HAVING value IS NOT NULL
