-- name: ledgers_agree
-- holds when: ERP invoiced = ERP confirmed = warehouse shipped per shipment line, carrier parcels hold what was
--   shipped, and a tracking number names one parcel
-- requires: ledger, facts
-- needs quiet: yes
--
-- Labels are compared by order line and one by one, so that one that is neither used nor voided does not hide behind
-- another's line. One is used when goods left under its tracking number, or when it is the first live one of a parcel
-- that the node packed for a release that left (a node does not book shipments of many parcels by parcel).

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
departures AS (
    SELECT DISTINCT customer_id, order_reference, partner, business_key, tracking_number
    FROM books WHERE kind = 'shipped' AND partner IN (SELECT node FROM labelling)
),
packed AS (
    SELECT DISTINCT p.parcel_id, p.customer_id, p.order_reference
    FROM books AS p
    SEMI JOIN (SELECT * FROM departures WHERE tracking_number IS NULL) AS d
        ON d.partner = p.partner AND d.business_key = p.business_key
    WHERE p.kind = 'packed'
),
live_labels AS (
    SELECT
        customer_id, order_reference, parcel_id, tracking_number, at_us,
        row_number() OVER (PARTITION BY parcel_id ORDER BY at_us, tracking_number) AS place
    FROM books
    WHERE kind = 'label' AND tracking_number NOT IN (SELECT tracking_number FROM voided)
),
idle_labels AS (
    SELECT l.*
    FROM live_labels AS l
    ANTI JOIN departures AS d ON d.tracking_number = l.tracking_number
    ANTI JOIN packed AS p ON p.parcel_id = l.parcel_id AND l.place = 1
    -- of an order whose node names its parcels
    SEMI JOIN (
        SELECT customer_id, order_reference FROM books WHERE kind = 'packed'
        UNION ALL
        SELECT customer_id, order_reference FROM departures WHERE tracking_number IS NOT NULL
    ) AS n ON n.customer_id = l.customer_id AND n.order_reference = l.order_reference
),
unlabelled AS (
    SELECT d.customer_id, d.order_reference, d.tracking_number, max(b.at_us) AS at_us, -sum(b.quantity) AS quantity
    FROM (SELECT * FROM departures WHERE tracking_number IS NOT NULL) AS d
    ANTI JOIN live_labels AS l ON l.tracking_number = d.tracking_number
    JOIN books AS b ON b.kind = 'shipped' AND b.partner = d.partner AND b.tracking_number = d.tracking_number
    GROUP BY d.customer_id, d.order_reference, d.tracking_number
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
SELECT 'label_idle', at_us, 1, customer_id, order_reference, NULL, '', tracking_number, NULL FROM idle_labels
UNION ALL
SELECT
    'label_not_live', at_us, quantity::BIGINT, customer_id, order_reference, NULL, '', tracking_number, NULL
FROM unlabelled
UNION ALL
SELECT 'tracking_number_shared', at_us, parcels, customer_id, order_reference, NULL, '', tracking_number, NULL
FROM tracking
