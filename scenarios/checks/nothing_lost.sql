-- name: nothing_lost
-- holds when: for each accepted line, shipped + cancelled + short + still waiting as a backorder = ordered, and short
--   is covered by a partner's booking
-- requires: operations, ledger, final
-- needs quiet: yes
--
-- Shipped is what the warehouses booked. Cancelled, short and waiting are what the order says at the end; the part of
-- them that had been confirmed must be covered: by a short pick, a refusal or a cancellation in a partner's books, or
-- by a cancellation that the client asked for. A backorder waits uncovered: it was never confirmed.

-- examined
SELECT p.intent, p.line_no
FROM promises AS p
WHERE NOT (SELECT reads_partial FROM moments) OR p.intent IN (SELECT intent FROM final_orders);

-- counterexamples
WITH shipped AS (
    SELECT intent, line_no, -sum(quantity) AS quantity FROM books WHERE kind = 'shipped' GROUP BY intent, line_no
),
cover AS (
    SELECT intent, line_no, sum(abs(quantity)) AS quantity
    FROM books WHERE kind IN ('short', 'release_rejected', 'release_cancelled')
    GROUP BY intent, line_no
),
lines AS (
    SELECT
        p.intent, p.line_no, p.sku, p.confirmed, p.backordered,
        coalesce(a.quantity, p.ordered) AS ordered, p.ordered AS answered,
        coalesce(s.quantity, 0) AS shipped,
        coalesce(f.cancelled, 0) AS cancelled, coalesce(f.short, 0) AS short, coalesce(f.backordered, 0) AS waiting,
        coalesce(c.quantity, 0) AS covered,
        o.intent IS NOT NULL AS was_read,
        f.intent IS NOT NULL AS exists_still,
        EXISTS (SELECT 1 FROM cancels AS k WHERE k.intent = p.intent AND NOT k.refused) AS cancel_asked
    FROM promises AS p
    LEFT JOIN asked AS a ON a.intent = p.intent AND a.line_no = p.line_no
    LEFT JOIN shipped AS s ON s.intent = p.intent AND s.line_no = p.line_no
    LEFT JOIN cover AS c ON c.intent = p.intent AND c.line_no = p.line_no
    LEFT JOIN final_orders AS o ON o.intent = p.intent
    LEFT JOIN final_lines AS f ON f.intent = p.intent AND f.line_no = p.line_no
),
judged AS (
    SELECT
        *,
        CASE
            WHEN NOT was_read THEN 'not_read'
            WHEN NOT exists_still THEN 'gone'
            WHEN answered <> ordered THEN 'misread'
            WHEN shipped + cancelled + short + waiting <> ordered THEN 'unaccounted'
            WHEN short + waiting + CASE WHEN cancel_asked THEN 0 ELSE cancelled END > backordered + covered
            THEN 'uncovered'
        END AS kind
    FROM lines
    WHERE was_read OR NOT (SELECT reads_partial FROM moments)
)
SELECT
    j.kind, i.first_ok_us AS at_us,
    CASE WHEN j.kind = 'uncovered' THEN j.short + j.waiting + j.cancelled - j.backordered - j.covered
        ELSE abs(j.ordered - j.shipped - j.cancelled - j.short - j.waiting) END::BIGINT AS badness,
    i.customer_id, i.order_reference, j.line_no, j.sku, j.ordered, j.shipped::BIGINT AS shipped, j.cancelled, j.short,
    j.waiting, j.covered::BIGINT AS covered
FROM judged AS j
JOIN intents AS i USING (intent)
WHERE j.kind IS NOT NULL
