-- name: no_oversell
-- holds when: at no acceptance do the open commitments, counted low and with this one, exceed supply, counted high
-- requires: operations, ledger, facts
-- needs quiet: no
--
-- Commitments are taken when the client has its answer: whichever of those that were by then accepted came last was
-- accepted after this one's first call, so supply over [first call - F, answer] had to cover them all. Short stock that
-- the node knew about is excused for F only. A deficit at one node takes nothing from what another can promise, and
-- excuses no more than was lost from stock there: what exceeds even that was promised twice, wherever it was to come
-- from. Losses at an order's own nodes excuse nothing, nor may those be exceeded themselves; where releases don't show
-- its nodes, it may have been promised from the one that lost least.

-- examined
SELECT intent, sku FROM promised
WHERE confirmed > 0 AND EXISTS (SELECT 1 FROM supply_steps);

-- counterexamples
WITH at_node AS (
    SELECT
        p.intent, p.sku, s.node, f.safety_stock, p.first_ok_us,
        known_until(p.first_invoked_us, f.freshness_us, w.from_us, w.to_us) AS known_us
    FROM (SELECT * FROM promised WHERE confirmed > 0) AS p
    JOIN stocked AS s ON s.sku = p.sku
    JOIN freshness AS f ON f.node = s.node
    ASOF LEFT JOIN blind_windows AS w ON w.node = s.node AND p.first_invoked_us >= w.from_us
),
supply_at_node AS (
    SELECT
        a.intent, a.sku, a.node,
        coalesce(k.level, 0) + coalesce(c.gained, 0) - coalesce(k.gained, 0) - a.safety_stock AS supply,
        -- what had left the shelves by then, other than by shipping
        coalesce(c.gained, 0) - coalesce(c.level, 0) AS lost
    FROM at_node AS a
    ASOF LEFT JOIN supply_steps AS k ON k.sku = a.sku AND k.node = a.node AND a.known_us >= k.at_us
    ASOF LEFT JOIN supply_steps AS c ON c.sku = a.sku AND c.node = a.node AND a.first_ok_us >= c.at_us
),
everywhere AS (
    SELECT
        p.intent, p.sku, p.confirmed, p.first_invoked_us, p.first_ok_us,
        coalesce(u.level, 0) AS committed,
        coalesce(s.supply, 0)::BIGINT AS supply,
        coalesce(s.lost, 0) AS lost, coalesce(s.lost_least, 0) AS lost_least
    FROM (SELECT * FROM promised WHERE confirmed > 0) AS p
    LEFT JOIN (
        SELECT intent, sku, sum(greatest(supply, 0)) AS supply, sum(lost) AS lost, min(lost) AS lost_least
        FROM supply_at_node GROUP BY intent, sku
    ) AS s ON s.intent = p.intent AND s.sku = p.sku
    ASOF LEFT JOIN (SELECT * FROM least_used WHERE pool = '*') AS u ON u.sku = p.sku AND p.first_ok_us >= u.at_us
),
excess AS (
    SELECT * FROM everywhere WHERE committed > supply AND EXISTS (SELECT 1 FROM supply_steps)
),
cleared AS (
    -- losses at nodes that are not the order's own explain the excess, and no node of its own is exceeded
    SELECT n.intent, n.sku
    FROM (
        SELECT
            e.intent, e.sku, a.node, s.supply, s.lost, e.first_ok_us, e.committed - e.supply AS beyond,
            e.lost AS lost_anywhere, e.lost_least
        FROM excess AS e
        LEFT JOIN attributed AS a ON a.intent = e.intent AND a.sku = e.sku
        LEFT JOIN supply_at_node AS s ON s.intent = a.intent AND s.sku = a.sku AND s.node = a.node
    ) AS n
    ASOF LEFT JOIN least_used AS u ON u.pool = n.node AND u.sku = n.sku AND n.first_ok_us >= u.at_us
    GROUP BY n.intent, n.sku
    HAVING coalesce(bool_and(coalesce(u.level, 0) <= n.supply), TRUE)
        AND any_value(n.beyond) <= any_value(n.lost_anywhere) - coalesce(sum(n.lost), any_value(n.lost_least))
)
SELECT
    'oversold' AS kind, e.first_ok_us AS at_us, e.committed - e.supply AS badness,
    i.customer_id, i.order_reference, e.sku, e.confirmed AS quantity, e.committed AS committed_at_least,
    e.supply AS supply_at_most
FROM excess AS e
JOIN intents AS i USING (intent)
ANTI JOIN cleared AS c ON c.intent = e.intent AND c.sku = e.sku
