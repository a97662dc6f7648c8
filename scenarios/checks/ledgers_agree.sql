-- name: ledgers_agree
-- holds when: ERP invoiced = ERP confirmed = warehouse shipped per shipment line, carrier parcels hold what was
--   shipped, and a tracking number names one parcel
-- requires: ledger, facts
-- needs quiet: yes
--
-- A label that is neither used nor voided shows as parcel content that was never shipped.

-- examined
SELECT DISTINCT customer_id, order_reference, shipment_id, line_no FROM books
WHERE kind IN ('shipped', 'shipment_confirmed', 'invoiced');

-- counterexamples
WITH shipment_lines AS (
    SELECT
        customer_id, order_reference, shipment_id, line_no, any_value(sku) AS sku, max(at_us) AS at_us,
        coalesce(-sum(quantity) FILTER (WHERE kind = 'shipped'), 0) AS shipped,
        coalesce(sum(quantity) FILTER (WHERE kind = 'shipment_confirmed'), 0) AS confirmed,
        coalesce(sum(quantity) FILTER (WHERE kind = 'invoiced'), 0) AS invoiced
    FROM books
    WHERE kind IN ('shipped', 'shipment_confirmed', 'invoiced')
    GROUP BY customer_id, order_reference, shipment_id, line_no
),
labelling AS (SELECT DISTINCT subject AS node FROM facts WHERE fact = 'label_by_carrier'),
voided AS (SELECT DISTINCT tracking_number FROM books WHERE kind = 'label_voided'),
parcel_lines AS (
    SELECT customer_id, order_reference, line_no, any_value(sku) AS sku, max(at_us) AS at_us,
        sum(shipped) AS shipped, sum(labelled) AS labelled
    FROM (
        SELECT customer_id, order_reference, line_no, sku, at_us, -quantity AS shipped, 0 AS labelled
        FROM books WHERE kind = 'shipped' AND partner IN (SELECT node FROM labelling)
        UNION ALL
        SELECT customer_id, order_reference, line_no, sku, at_us, 0, quantity
        FROM books
        WHERE kind = 'label_line' AND tracking_number NOT IN (SELECT tracking_number FROM voided)
            AND EXISTS (SELECT 1 FROM labelling)
    )
    GROUP BY customer_id, order_reference, line_no
),
tracking AS (
    SELECT tracking_number, count(DISTINCT parcel_id) AS parcels, max(at_us) AS at_us,
        arg_max(customer_id, at_us) AS customer_id, arg_max(order_reference, at_us) AS order_reference
    FROM books
    WHERE kind = 'label' AND tracking_number NOT IN (SELECT tracking_number FROM voided)
    GROUP BY tracking_number
    HAVING count(DISTINCT parcel_id) > 1
)
SELECT
    CASE WHEN confirmed <> shipped THEN 'erp_confirmed_other' ELSE 'erp_invoiced_other' END AS kind,
    at_us, greatest(abs(confirmed - shipped), abs(invoiced - shipped))::BIGINT AS badness,
    customer_id, order_reference, line_no, sku, shipment_id AS subject,
    {'shipped': shipped::BIGINT, 'confirmed': confirmed::BIGINT, 'invoiced': invoiced::BIGINT, 'labelled': NULL::BIGINT}
        AS quantities
FROM shipment_lines
WHERE confirmed <> shipped OR invoiced <> shipped
UNION ALL
SELECT
    CASE WHEN labelled > shipped THEN 'label_unused' ELSE 'shipped_unlabelled' END, at_us,
    abs(labelled - shipped)::BIGINT, customer_id, order_reference, line_no, sku, '',
    {'shipped': shipped::BIGINT, 'confirmed': NULL, 'invoiced': NULL, 'labelled': labelled::BIGINT}
FROM parcel_lines
WHERE labelled <> shipped AND EXISTS (SELECT 1 FROM labelling)
UNION ALL
SELECT 'tracking_number_shared', at_us, parcels, customer_id, order_reference, NULL, '', tracking_number, NULL
FROM tracking
