-- name: no_false_rejection
-- holds when: no order was refused as out of stock while supply, counted low, covered it and all commitments, counted
--   high
-- requires: operations, ledger, facts
-- needs quiet: no
--
-- Only outright refusals are judged, and only when every line could have been served all the time from F before the
-- first call with that key until the answer. An acceptance is examined too: it is an order that was not wrongly
-- refused.

-- examined
SELECT customer_id, order_reference FROM operations
WHERE operation = 'place_order' AND (outcome = 'ok' OR problem_key(problem) = 'out-of-stock');

-- counterexamples
WITH refusals AS (
    SELECT
        row_number() OVER (ORDER BY seq, completed_at_us) AS refusal,
        customer_id, order_reference, key, completed_at_us, lines,
        min(invoked_at_us) OVER (PARTITION BY customer_id, order_reference, key) AS first_invoked_us,
        problem
    FROM operations
    WHERE operation = 'place_order'
    QUALIFY problem_key(problem) = 'out-of-stock'
),
wanted AS (
    SELECT refusal, first_invoked_us, completed_at_us, l.sku, sum(l.quantity)::BIGINT AS quantity
    FROM (SELECT refusal, first_invoked_us, completed_at_us, unnest(lines) AS l FROM refusals)
    GROUP BY refusal, first_invoked_us, completed_at_us, l.sku
),
at_node AS (
    SELECT
        d.refusal, d.sku, s.node, f.safety_stock, d.completed_at_us,
        known_until(d.first_invoked_us, f.freshness_us, w.from_us, w.to_us) AS known_us
    FROM wanted AS d
    JOIN stocked AS s ON s.sku = d.sku
    JOIN freshness AS f ON f.node = s.node
    ASOF LEFT JOIN blind_windows AS w ON w.node = s.node AND d.first_invoked_us >= w.from_us
),
supply AS (
    -- losses between the two moments = what was gained less what the level rose
    SELECT
        a.refusal, a.sku,
        sum(
            coalesce(c.level, 0) - coalesce(c.gained, 0) + coalesce(k.gained, 0) - a.safety_stock
        )::BIGINT AS supply
    FROM at_node AS a
    ASOF LEFT JOIN supply_steps AS k ON k.sku = a.sku AND k.node = a.node AND a.known_us >= k.at_us
    ASOF LEFT JOIN supply_steps AS c ON c.sku = a.sku AND c.node = a.node AND a.completed_at_us >= c.at_us
    GROUP BY a.refusal, a.sku
),
judged AS (
    SELECT
        d.refusal, d.sku, d.quantity, coalesce(s.supply, 0) AS supply,
        coalesce(b.level, 0) + coalesce(c.gained, 0) - coalesce(b.gained, 0) AS committed
    FROM wanted AS d
    LEFT JOIN supply AS s ON s.refusal = d.refusal AND s.sku = d.sku
    ASOF LEFT JOIN most_used AS b ON b.sku = d.sku AND d.first_invoked_us >= b.at_us
    ASOF LEFT JOIN most_used AS c ON c.sku = d.sku AND d.completed_at_us >= c.at_us
),
wrong AS (
    SELECT
        refusal, min(supply - committed - quantity) AS spare,
        list({'sku': sku, 'quantity': quantity, 'committed_at_most': committed, 'supply_at_least': supply} ORDER BY sku)
            AS lines
    FROM judged
    GROUP BY refusal
    HAVING bool_and(committed + quantity <= supply)
)
SELECT
    'wrongly_refused' AS kind, r.completed_at_us AS at_us, w.spare AS badness,
    r.customer_id, r.order_reference, r.key, w.lines
FROM wrong AS w
JOIN refusals AS r USING (refusal)
