-- name: fail_means_never
-- holds when: a key whose attempts all failed has no effect of its own at any partner, and every entry traces back to
--   an attempt
-- requires: operations, ledger, exchanges
-- needs quiet: no
--
-- Partners do not know the clients' keys, so what a failed key did shows in three ways where another key for the same
-- order may have succeeded: an entry older than the first call under any such key, more orders in the ERP than such
-- keys can have made (keys that were answered the same order made one), and a booked quantity that only a failed key
-- asked for. A cancellation that was refused for certain must not be booked either. A key has not failed when the
-- network delivered one of its requests again and that copy was not turned away.

-- examined
SELECT DISTINCT customer_id, order_reference FROM books WHERE coalesce(order_reference, '') <> ''
UNION
SELECT customer_id, order_reference FROM order_keys WHERE failed;

-- counterexamples
WITH may_succeed AS (
    SELECT
        i.intent, min(k.first_invoked_us) AS from_us,
        count(DISTINCT k.order_id) + count(*) FILTER (WHERE k.order_id IS NULL) AS keys
    FROM order_keys AS k
    JOIN intents AS i ON i.customer_id = k.customer_id AND i.order_reference = k.order_reference
    WHERE NOT k.failed
    GROUP BY i.intent
),
failed AS (
    SELECT DISTINCT i.intent
    FROM (SELECT * FROM order_keys WHERE failed) AS k
    JOIN intents AS i ON i.customer_id = k.customer_id AND i.order_reference = k.order_reference
),
traced AS (
    SELECT
        b.customer_id, b.order_reference, b.partner, b.kind AS entry, b.business_key, b.at_us,
        CASE
            WHEN coalesce(b.order_reference, '') = '' THEN 'unnamed'
            WHEN b.intent IS NULL THEN 'untraced'
            WHEN m.intent IS NULL THEN 'failed_yet_booked'
            ELSE 'booked_before_asked'
        END AS kind
    FROM books AS b
    LEFT JOIN may_succeed AS m ON m.intent = b.intent
    WHERE CASE
        WHEN coalesce(b.order_reference, '') <> '' THEN b.intent IS NULL OR m.intent IS NULL OR b.at_us < m.from_us
        ELSE b.kind IN ('order_booked', 'release_accepted', 'shipped', 'label', 'shipment_confirmed', 'invoiced')
    END
),
orders AS (
    SELECT b.intent, count(DISTINCT b.business_key) AS orders, max(b.at_us) AS at_us, m.keys
    FROM books AS b
    JOIN may_succeed AS m ON m.intent = b.intent
    SEMI JOIN failed AS f ON f.intent = b.intent
    WHERE b.kind = 'order_booked'
    GROUP BY b.intent, m.keys
    HAVING count(DISTINCT b.business_key) > m.keys
),
beyond AS (
    SELECT b.intent, b.line_no, max(b.at_us) AS at_us, max(b.quantity) - coalesce(max(a.quantity), 0) AS badness,
        any_value(b.business_key) AS business_key
    FROM books AS b
    SEMI JOIN failed AS f ON f.intent = b.intent
    SEMI JOIN may_succeed AS m ON m.intent = b.intent
    LEFT JOIN asked AS a ON a.intent = b.intent AND a.line_no = b.line_no
    WHERE b.kind = 'order_line'
    GROUP BY b.intent, b.line_no
    HAVING max(b.quantity) > coalesce(max(a.quantity), 0)
),
refused_cancels AS (
    SELECT intent FROM cancels GROUP BY intent HAVING bool_and(refused)
)
SELECT
    kind, min(at_us) AS at_us, count(*) AS badness, customer_id, order_reference, arg_min(partner, at_us) AS partner,
    arg_min(entry, at_us) AS entry, arg_min(business_key, at_us) AS business_key
FROM traced
GROUP BY kind, customer_id, order_reference
UNION ALL
SELECT 'failed_key_booked', o.at_us, o.orders - o.keys, i.customer_id, i.order_reference, 'erp', 'order_booked', NULL
FROM orders AS o JOIN intents AS i ON i.intent = o.intent
UNION ALL
SELECT 'failed_payload_booked', b.at_us, b.badness, i.customer_id, i.order_reference, 'erp', 'order_line',
    b.business_key
FROM beyond AS b JOIN intents AS i ON i.intent = b.intent
UNION ALL
SELECT
    'refused_yet_cancelled', min(b.at_us), count(*), any_value(b.customer_id), any_value(b.order_reference),
    arg_min(b.partner, b.at_us), arg_min(b.kind, b.at_us), arg_min(b.business_key, b.at_us)
FROM books AS b
SEMI JOIN refused_cancels AS r ON r.intent = b.intent
WHERE b.kind = 'release_cancelled' OR (b.kind = 'order_changed' AND b.reason = 'cancel' AND b.quantity > 0)
GROUP BY b.intent
