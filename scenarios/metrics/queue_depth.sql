-- name: queue_depth
-- summary: Messages ready to be sent, sampled over the run, per lane
-- clock: business
-- unit: messages
-- requires: gauges
-- yields: samples
--
-- The integration's own word: useful, never proof.

SELECT value, location AS "group" FROM gauges WHERE name = 'queue_depth'
