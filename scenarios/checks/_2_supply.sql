-- Supply: what each node could have promised of each sku, and how late the integration may have known of it.
--
-- A shipment takes units off the shelf and ends the promise that they were for, in one event: free stock stays as it
-- was. So supply here leaves shipments out, and promises (next file) do not end by them. That keeps both bounds tight.

CREATE TABLE supply_moves AS
SELECT sku, partner AS node, at_us, kind, seq, delta
FROM (
    SELECT
        sku, partner, kind, seq,
        -- opening stock is known before the first client calls
        CASE WHEN kind = 'opening' THEN 0 ELSE at_us END AS at_us,
        (balance - coalesce(held_balance, 0)) - coalesce(
            lag(balance - coalesce(held_balance, 0)) OVER (PARTITION BY partner, location, sku ORDER BY seq), 0
        ) AS delta
    FROM ledger
    WHERE balance IS NOT NULL AND partner IN (SELECT node FROM nodes)
)
WHERE kind <> 'shipped' AND delta <> 0;

-- Running totals: `level`, and separately what was added (`gained`) since the beginning. Messages arrive in any order,
-- so between two moments the integration may know every gain and no loss, or the reverse.
CREATE TABLE supply_steps AS
SELECT
    sku, node, at_us,
    sum(delta) OVER running AS level,
    sum(gain) OVER running AS gained
FROM (
    SELECT sku, node, at_us, sum(delta)::BIGINT AS delta, sum(greatest(delta, 0))::BIGINT AS gain
    FROM supply_moves
    GROUP BY sku, node, at_us
)
WINDOW running AS (PARTITION BY sku, node ORDER BY at_us ROWS UNBOUNDED PRECEDING);

CREATE TABLE stocked AS SELECT DISTINCT sku, node FROM supply_steps;

CREATE TABLE freshness AS
SELECT
    node,
    coalesce((SELECT max(value) FROM facts WHERE fact = 'freshness_us' AND subject = node), 0) AS freshness_us,
    coalesce((SELECT max(value) FROM facts WHERE fact = 'safety_stock' AND subject = node), 0) AS safety_stock
FROM nodes;

-- Windows in which a node's messages were blocked, those within reach of each other merged into one.
CREATE TABLE blind_windows AS
WITH blocked AS (
    SELECT subject AS node, value AS from_us, value_to AS to_us FROM facts WHERE fact = 'freshness_stretch_us'
    UNION ALL
    -- A message that nobody took in when it came, and perhaps not when it came again after a long wait: two faults in
    -- turn keep it back for longer than either.
    SELECT
        source, min(sent_at_us),
        coalesce(
            min(handled_at_us) FILTER (WHERE status BETWEEN 200 AND 299), max(coalesce(completed_at_us, sent_at_us))
        )
    FROM exchanges
    WHERE target = 'integration' AND source IN (SELECT node FROM nodes)
        AND event_type IN ('inventory.changed', 'release.picked', 'release.shipped')
    GROUP BY source, key
    HAVING min(sent_at_us) FILTER (WHERE handled_at_us IS NULL)
        < coalesce(min(handled_at_us) FILTER (WHERE status BETWEEN 200 AND 299), max(sent_at_us) + 1)
)
SELECT node, min(from_us) AS from_us, max(to_us) AS to_us
FROM (
    SELECT *, sum(starts) OVER (PARTITION BY node ORDER BY from_us, to_us ROWS UNBOUNDED PRECEDING) AS island
    FROM (
        SELECT
            b.node, b.from_us, b.to_us,
            (b.from_us > coalesce(max(b.to_us) OVER earlier + 2 * n.freshness_us, -1))::INTEGER AS starts
        FROM blocked AS b
        JOIN freshness AS n ON n.node = b.node
        WINDOW earlier AS (
            PARTITION BY b.node ORDER BY b.from_us, b.to_us ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
    )
)
GROUP BY node, island;

-- Up to which moment everything booked at `node` was certainly known at `at_us`.
CREATE MACRO known_until(at_us, freshness_us, blind_from_us, blind_to_us) AS
    CASE
        WHEN blind_from_us IS NOT NULL AND at_us <= blind_to_us + freshness_us
        THEN least(at_us, blind_from_us) - freshness_us
        ELSE at_us - freshness_us
    END;
