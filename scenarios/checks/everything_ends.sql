-- name: everything_ends
-- holds when: quiet comes within the scenario's drain bound after load has ended and faults have healed
-- requires: operations, facts
-- needs quiet: no
--
-- The bound is derived from the scenario, not from the run: largest backoff + poll + backlog / service rate + cut-off.

-- examined
SELECT intent FROM intents WHERE first_ok_us IS NOT NULL;

-- counterexamples
WITH bound AS (
    SELECT *, greatest(coalesce(loaded_us, 0), coalesce(healed_us, 0)) + drain_bound_us AS due_us FROM moments
),
still_open AS (
    SELECT o.intent, o.at_us, o.order_status, sum(l.confirmed) AS open_quantity
    FROM final_orders AS o
    LEFT JOIN final_lines AS l USING (intent)
    WHERE o.order_status NOT IN ('invoiced', 'cancelled', 'closed')
    GROUP BY o.intent, o.at_us, o.order_status
    HAVING coalesce(sum(l.confirmed), 0) > 0 OR o.order_status = 'shipped'
)
SELECT
    'open_order' AS kind, s.at_us, coalesce(s.open_quantity, 0)::BIGINT AS badness, i.customer_id, i.order_reference,
    s.order_status
FROM still_open AS s
JOIN intents AS i USING (intent)
WHERE (SELECT quiet_us FROM bound) IS NULL
UNION ALL
SELECT 'never_quiet', due_us, 0, NULL, NULL, NULL
FROM bound
WHERE quiet_us IS NULL AND NOT EXISTS (SELECT 1 FROM still_open) AND EXISTS (SELECT 1 FROM intents)
UNION ALL
SELECT 'late', quiet_us, quiet_us - due_us, NULL, NULL, NULL FROM bound WHERE quiet_us > due_us
