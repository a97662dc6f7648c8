-- name: fresh_availability
-- holds when: an availability answer never exceeds the largest true availability of that sku at that node within F
--   before it
-- requires: operations, ledger, final, facts.node, facts.freshness_us
-- needs quiet: no
--
-- True availability is on hand - held - safety stock - what is certainly reserved: accepted releases, from the node's
-- acceptance until the node ends them. Gains and losses within F may have become known in any order, so the bound is
-- taken with every gain and no loss. A shipment takes units off the shelf and ends their reservation in one event, so
-- it is left out of both; only what ships beyond its release is a loss. Answers are those that clients got, and what
-- was read back at the end.

-- examined
SELECT sku, node FROM (
    SELECT a.sku, a.node
    FROM (SELECT unnest(availability) AS a FROM operations WHERE operation = 'check_availability' AND outcome = 'ok')
    UNION ALL
    SELECT sku, node FROM final WHERE read = 'availability' AND available IS NOT NULL
)
WHERE node IN (SELECT node FROM nodes);

-- counterexamples
WITH answers AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY completed_at_us, sku, node, reader) AS answer, *
    FROM (
        SELECT
            a.sku, a.node, a.available, invoked_at_us, completed_at_us, customer_id, order_reference, client AS reader
        FROM (
            SELECT *, unnest(availability) AS a
            FROM operations WHERE operation = 'check_availability' AND outcome = 'ok'
        )
        UNION ALL
        SELECT sku, node, available, at_us, at_us, NULL, NULL, 'final read'
        FROM final WHERE read = 'availability'
    )
    WHERE available > 0 AND node IN (SELECT node FROM nodes)
),
release_events AS (
    SELECT
        partner AS node, business_key, line_no, sku, at_us,
        coalesce(sum(quantity) FILTER (WHERE kind = 'release_accepted'), 0) AS promise,
        coalesce(
            sum(abs(quantity)) FILTER (WHERE kind IN ('release_rejected', 'release_cancelled', 'short')), 0
        ) AS ended,
        coalesce(-sum(quantity) FILTER (WHERE kind = 'shipped'), 0) AS shipped
    FROM ledger
    WHERE kind IN ('release_accepted', 'release_rejected', 'release_cancelled', 'short', 'shipped')
        AND sku IN (SELECT sku FROM answers)
    GROUP BY partner, business_key, line_no, sku, at_us
),
release_levels AS (
    SELECT
        *, greatest(sum(promise) OVER so_far - sum(ended) OVER so_far, 0) AS reserved,
        sum(shipped) OVER so_far AS shipped_so_far
    FROM release_events
    WINDOW so_far AS (PARTITION BY node, business_key, line_no, sku ORDER BY at_us ROWS UNBOUNDED PRECEDING)
),
release_moves AS (
    SELECT
        node, sku, at_us,
        reserved - coalesce(lag(reserved) OVER one_line, 0) AS reserved_move,
        greatest(shipped_so_far - reserved, 0)
            - coalesce(lag(greatest(shipped_so_far - reserved, 0)) OVER one_line, 0) AS extra_move
    FROM release_levels
    WINDOW one_line AS (PARTITION BY node, business_key, line_no, sku ORDER BY at_us)
),
release_steps AS MATERIALIZED (
    SELECT
        node, sku, at_us,
        sum(reserved_move) OVER running AS reserved, sum(reserved_gain) OVER running AS reserved_gained,
        sum(extra_move) OVER running AS extra, sum(extra_gain) OVER running AS extra_gained
    FROM (
        SELECT
            node, sku, at_us, sum(reserved_move)::BIGINT AS reserved_move, sum(extra_move)::BIGINT AS extra_move,
            sum(greatest(reserved_move, 0))::BIGINT AS reserved_gain, sum(greatest(extra_move, 0))::BIGINT AS extra_gain
        FROM release_moves
        GROUP BY node, sku, at_us
    )
    WINDOW running AS (PARTITION BY node, sku ORDER BY at_us ROWS UNBOUNDED PRECEDING)
),
known AS (
    SELECT a.*, f.safety_stock, known_until(a.invoked_at_us, f.freshness_us, w.from_us, w.to_us) AS known_us
    FROM answers AS a
    JOIN freshness AS f ON f.node = a.node
    ASOF LEFT JOIN blind_windows AS w ON w.node = a.node AND a.invoked_at_us >= w.from_us
),
bounded AS (
    SELECT
        a.*,
        coalesce(k.level, 0) + coalesce(c.gained, 0) - coalesce(k.gained, 0) - a.safety_stock AS supply,
        -- at least this was reserved from the call until the answer: what stood at its end, less what came meanwhile
        coalesce(rc.reserved, 0) - (coalesce(rc.reserved_gained, 0) - coalesce(ri.reserved_gained, 0)) AS reserved,
        coalesce(rc.extra, 0) - (coalesce(rc.extra_gained, 0) - coalesce(rk.extra_gained, 0)) AS extra
    FROM known AS a
    ASOF LEFT JOIN supply_steps AS k ON k.sku = a.sku AND k.node = a.node AND a.known_us >= k.at_us
    ASOF LEFT JOIN supply_steps AS c ON c.sku = a.sku AND c.node = a.node AND a.completed_at_us >= c.at_us
    ASOF LEFT JOIN release_steps AS rk ON rk.sku = a.sku AND rk.node = a.node AND a.known_us >= rk.at_us
    ASOF LEFT JOIN release_steps AS ri ON ri.sku = a.sku AND ri.node = a.node AND a.invoked_at_us >= ri.at_us
    ASOF LEFT JOIN release_steps AS rc ON rc.sku = a.sku AND rc.node = a.node AND a.completed_at_us >= rc.at_us
)
SELECT
    'more_than_there_was' AS kind, completed_at_us AS at_us,
    (available - greatest(supply - reserved - extra, 0))::BIGINT AS badness,
    customer_id, order_reference, reader, sku, node, available,
    greatest(supply - reserved - extra, 0)::BIGINT AS at_most, supply::BIGINT AS supply_at_most,
    reserved::BIGINT AS reserved_at_least
FROM bounded
WHERE available > greatest(supply - reserved - extra, 0)
