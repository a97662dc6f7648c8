-- name: backorder_update_s
-- summary: Time from a short pick in a node's books until the ERP had booked the change, per node
-- clock: business
-- unit: s
-- requires: ledger
-- yields: samples

SELECT (c.at_us - s.at_us) / 1e6 AS value, s.partner AS "group"
FROM (SELECT * FROM books WHERE kind = 'short' AND intent IS NOT NULL) AS s
ASOF JOIN (SELECT * FROM books WHERE kind = 'order_changed' AND intent IS NOT NULL) AS c
    ON c.intent = s.intent AND c.line_no = s.line_no AND s.at_us <= c.at_us
