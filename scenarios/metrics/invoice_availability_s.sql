-- name: invoice_availability_s
-- summary: Time from a shipment in a node's books to its invoice in the ERP, per node
-- clock: business
-- unit: s
-- requires: ledger
-- yields: samples

SELECT (i.at_us - s.at_us) / 1e6 AS value, s.partner AS "group"
FROM (
    SELECT customer_id, order_reference, shipment_id, partner, min(at_us) AS at_us
    FROM ledger WHERE kind = 'shipped'
    GROUP BY ALL
) AS s
JOIN (
    SELECT customer_id, order_reference, shipment_id, min(at_us) AS at_us
    FROM ledger WHERE kind = 'invoiced'
    GROUP BY ALL
) AS i USING (customer_id, order_reference, shipment_id)
