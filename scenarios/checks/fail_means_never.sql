-- name: fail_means_never
-- holds when: no partner booked anything for an order whose attempts all failed, and every entry traces back to an
--   attempt
-- requires: operations, ledger
-- needs quiet: no

-- examined
SELECT DISTINCT customer_id, order_reference FROM books WHERE coalesce(order_reference, '') <> ''
UNION
SELECT customer_id, order_reference FROM intents WHERE all_failed;

-- counterexamples
SELECT
    CASE
        WHEN coalesce(order_reference, '') = '' THEN 'unnamed'
        WHEN b.intent IS NULL THEN 'untraced'
        ELSE 'failed_yet_booked'
    END AS kind,
    min(at_us) AS at_us, count(*) AS badness,
    b.customer_id, b.order_reference, arg_min(partner, at_us) AS partner, arg_min(kind, at_us) AS entry,
    arg_min(business_key, at_us) AS business_key
FROM books AS b
LEFT JOIN (SELECT intent FROM intents WHERE all_failed) AS f ON f.intent = b.intent
WHERE (coalesce(order_reference, '') <> '' AND (b.intent IS NULL OR f.intent IS NOT NULL))
    OR (
        coalesce(order_reference, '') = ''
        AND kind IN ('order_booked', 'release_accepted', 'shipped', 'label', 'shipment_confirmed', 'invoiced')
    )
GROUP BY ALL
