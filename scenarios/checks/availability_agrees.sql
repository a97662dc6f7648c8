-- name: availability_agrees
-- holds when: published availability per sku and node = the partner's available - open commitments - safety stock,
--   never below zero
-- requires: ledger, final, facts
-- needs quiet: yes
--
-- When quiet, everything ended and nothing is committed. Orders that stay open all the same (dead-lettered ones) may
-- hold what they still promise: at the node whose books show their release open, and what no release shows at whichever
-- node. By so much the published number may be lower.

-- examined
SELECT sku, node FROM final WHERE read = 'availability' AND node IN (SELECT node FROM nodes)
UNION
SELECT sku, partner FROM ledger
WHERE balance IS NOT NULL AND partner IN (SELECT node FROM nodes) AND NOT (SELECT reads_partial FROM moments);

-- counterexamples
WITH bins AS (
    SELECT
        partner AS node, location, sku,
        arg_max(balance - coalesce(held_balance, 0), seq) AS available, max(at_us) AS at_us
    FROM ledger
    WHERE balance IS NOT NULL AND partner IN (SELECT node FROM nodes)
    GROUP BY partner, location, sku
),
expected AS (
    SELECT b.node, b.sku, sum(b.available) - any_value(f.safety_stock) AS available, max(b.at_us) AS at_us
    FROM bins AS b
    JOIN freshness AS f USING (node)
    GROUP BY b.node, b.sku
),
still_open AS (
    SELECT intent, sku, sum(confirmed) AS quantity FROM final_lines GROUP BY intent, sku HAVING sum(confirmed) > 0
),
released AS (
    SELECT b.intent, b.sku, b.node, greatest(sum(b.quantity), 0) AS quantity
    FROM (
        SELECT
            intent, sku, partner AS node,
            CASE WHEN kind = 'release_accepted' THEN quantity ELSE -abs(quantity) END AS quantity
        FROM books
        WHERE kind IN ('release_accepted', 'release_rejected', 'release_cancelled', 'short', 'shipped')
    ) AS b
    SEMI JOIN still_open AS o ON o.intent = b.intent AND o.sku = b.sku
    GROUP BY b.intent, b.sku, b.node
),
at_node AS (
    SELECT r.sku, r.node, sum(least(r.quantity, o.quantity)) AS quantity
    FROM released AS r
    JOIN still_open AS o ON o.intent = r.intent AND o.sku = r.sku
    GROUP BY r.sku, r.node
),
anywhere AS (
    SELECT o.sku, sum(greatest(o.quantity - coalesce(r.quantity, 0), 0)) AS quantity
    FROM still_open AS o
    LEFT JOIN (SELECT intent, sku, sum(quantity) AS quantity FROM released GROUP BY intent, sku) AS r
        ON r.intent = o.intent AND r.sku = o.sku
    GROUP BY o.sku
),
published AS (
    SELECT node, sku, arg_max(available, seq) AS available, max(at_us) AS at_us
    FROM final
    WHERE read = 'availability' AND node IN (SELECT node FROM nodes)
    GROUP BY node, sku
),
compared AS (
    SELECT
        coalesce(e.node, p.node) AS node, coalesce(e.sku, p.sku) AS sku,
        greatest(coalesce(e.available, 0), 0) AS highest,
        greatest(coalesce(e.available, 0) - coalesce(n.quantity, 0) - coalesce(o.quantity, 0), 0) AS lowest,
        p.available AS published, coalesce(p.at_us, e.at_us) AS at_us
    FROM expected AS e
    FULL JOIN published AS p ON p.node = e.node AND p.sku = e.sku
    LEFT JOIN at_node AS n ON n.sku = coalesce(e.sku, p.sku) AND n.node = coalesce(e.node, p.node)
    LEFT JOIN anywhere AS o ON o.sku = coalesce(e.sku, p.sku)
)
SELECT
    CASE
        WHEN published IS NULL THEN 'not_published' WHEN published > highest THEN 'too_high' ELSE 'too_low'
    END AS kind,
    at_us,
    CASE
        WHEN published IS NULL THEN highest WHEN published > highest THEN published - highest ELSE lowest - published
    END::BIGINT AS badness,
    node, sku, highest::BIGINT AS expected, published
FROM compared
WHERE CASE
    WHEN published IS NULL THEN NOT (SELECT reads_partial FROM moments)
    ELSE published NOT BETWEEN lowest AND highest
END
