-- name: order_cycle_hours
-- summary: Time from the first call for an order to its last shipment, for orders that are shipped as far as they
--   will be
-- clock: business
-- unit: hours
-- requires: operations, ledger
-- yields: samples

SELECT (max(b.at_us) - any_value(i.first_invoked_us)) / 3.6e9 AS value, any_value(i.channel) AS "group"
FROM books AS b
JOIN intents AS i USING (intent)
WHERE b.kind = 'shipped' AND intent NOT IN (SELECT intent FROM final_lines WHERE confirmed + backordered > 0)
GROUP BY intent
