-- name: at_most_once
-- holds when: per order and line nothing is booked, released, shipped, labelled, invoiced or refunded twice, whatever
--   the client saw
-- requires: operations, ledger
-- needs quiet: no
--
-- Explicit voids are netted: what was cancelled, came short, was refused or voided may be done again elsewhere. Only
-- the partners' books count, so it is all one whether the integration was answered. In an ERP that makes a second sales
-- order of a repeated request the lines of all live ones add up to what was asked, at most.

-- examined
SELECT DISTINCT intent FROM books
WHERE intent IS NOT NULL AND kind IN ('order_booked', 'release_accepted', 'shipped', 'label', 'invoiced', 'credited');

-- counterexamples
WITH orders AS (
    SELECT intent, business_key, min(at_us) FILTER (WHERE kind = 'order_booked') AS at_us
    FROM books
    WHERE kind IN ('order_booked', 'order_voided') AND intent IS NOT NULL
    GROUP BY intent, business_key
    HAVING count(*) FILTER (WHERE kind = 'order_booked') > count(*) FILTER (WHERE kind = 'order_voided')
),
live_order_lines AS (
    SELECT b.intent, b.line_no, any_value(b.sku) AS sku, sum(b.quantity) AS quantity, max(b.at_us) AS at_us
    FROM books AS b
    ANTI JOIN (SELECT business_key FROM books WHERE kind = 'order_voided') AS v ON v.business_key = b.business_key
    WHERE b.kind = 'order_line' AND b.intent IS NOT NULL
    GROUP BY b.intent, b.line_no
),
accepted AS (
    SELECT DISTINCT partner, business_key, line_no FROM books WHERE kind = 'release_accepted'
),
release_moves AS (
    SELECT b.intent, b.line_no, b.sku, b.at_us, b.quantity AS delta
    FROM books AS b
    WHERE b.kind = 'release_accepted' AND b.intent IS NOT NULL
    UNION ALL
    SELECT b.intent, b.line_no, b.sku, b.at_us, -abs(b.quantity)
    FROM books AS b
    SEMI JOIN accepted AS a
        ON a.partner = b.partner AND a.business_key = b.business_key AND a.line_no = b.line_no
    WHERE b.kind IN ('release_rejected', 'release_cancelled', 'short') AND b.intent IS NOT NULL
),
line_use AS (
    SELECT 'released_twice' AS kind, intent, line_no, any_value(sku) AS sku, max(live) AS quantity,
        arg_max(at_us, live) AS at_us
    FROM (
        SELECT *, sum(delta) OVER (PARTITION BY intent, line_no ORDER BY at_us, delta ROWS UNBOUNDED PRECEDING) AS live
        FROM release_moves
    )
    GROUP BY intent, line_no
    UNION ALL
    SELECT 'order_line_twice', intent, line_no, sku, quantity, at_us FROM live_order_lines
    UNION ALL
    SELECT 'shipped_twice', intent, line_no, any_value(sku), -sum(quantity), max(at_us)
    FROM books WHERE kind = 'shipped' AND intent IS NOT NULL
    GROUP BY intent, line_no
    UNION ALL
    SELECT 'labelled_twice', l.intent, l.line_no, any_value(l.sku), sum(l.quantity), max(l.at_us)
    FROM books AS l
    ANTI JOIN (SELECT tracking_number FROM books WHERE kind = 'label_voided') AS v USING (tracking_number)
    WHERE l.kind = 'label_line' AND l.intent IS NOT NULL
    GROUP BY l.intent, l.line_no
    UNION ALL
    SELECT 'invoiced_twice', intent, line_no, any_value(sku), sum(quantity), max(at_us)
    FROM books WHERE kind = 'invoiced' AND intent IS NOT NULL
    GROUP BY intent, line_no
),
labels AS (
    SELECT l.partner, l.parcel_id, l.intent, count(*) AS live, max(l.at_us) AS at_us
    FROM books AS l
    ANTI JOIN (SELECT tracking_number FROM books WHERE kind = 'label_voided') AS v USING (tracking_number)
    WHERE l.kind = 'label' AND l.intent IS NOT NULL
    GROUP BY l.partner, l.parcel_id, l.intent
    HAVING count(*) > 1
),
documents AS (
    SELECT 'invoice_twice' AS kind, intent, shipment_id AS subject, count(*) AS times, max(at_us) AS at_us
    FROM books WHERE kind = 'invoice' AND intent IS NOT NULL AND coalesce(shipment_id, '') <> ''
    GROUP BY intent, shipment_id
    HAVING count(*) > 1
    UNION ALL
    SELECT 'refunded_twice', intent, business_key, count(*), max(at_us)
    FROM books WHERE kind = 'credited' AND intent IS NOT NULL
    GROUP BY intent, business_key, line_no
    HAVING count(*) > 1
),
found AS (
    SELECT 'booked_twice' AS kind, max(at_us) AS at_us, intent, NULL::INTEGER AS line_no, '' AS subject,
        count(*) AS happened, 1 AS allowed
    FROM orders GROUP BY intent HAVING count(*) > 1
    UNION ALL
    SELECT u.kind, u.at_us, u.intent, u.line_no, u.sku, u.quantity, coalesce(a.quantity, 0)
    FROM line_use AS u
    LEFT JOIN asked AS a ON a.intent = u.intent AND a.line_no = u.line_no
    WHERE u.quantity > coalesce(a.quantity, 0)
    UNION ALL
    SELECT 'two_labels', at_us, intent, NULL, parcel_id, live, 1 FROM labels
    UNION ALL
    SELECT kind, at_us, intent, NULL, subject, times, 1 FROM documents
)
SELECT
    f.kind, f.at_us, (f.happened - f.allowed)::BIGINT AS badness, i.customer_id, i.order_reference, f.line_no,
    f.subject, f.happened::BIGINT AS happened, f.allowed::BIGINT AS allowed
FROM found AS f
JOIN intents AS i USING (intent)
