-- name: money_adds_up
-- holds when: invoice lines = shipped quantity x contract price in force at acceptance + tax, an invoice is the sum of
--   its lines, and credits = returns
-- requires: operations, ledger, master
-- needs quiet: no
--
-- Prices are taken from two sides: what the client was answered, and the ERP's own price list at any moment at which
-- the order can have been accepted (from its first call until its first ok answer or booking, whichever came first; a
-- clock that is known to be off widens that). Tax is per line, net x basis points, half rounded up. What was asked is
-- priced as well: it must be what the ERP booked, so that nobody pays for a case with the price of one piece.

-- examined
SELECT intent, business_key, line_no FROM books
WHERE kind IN ('order_line', 'invoiced', 'credited') AND intent IS NOT NULL;

-- counterexamples
WITH skew AS (SELECT coalesce(max(value), 0) AS us FROM facts WHERE fact = 'clock_skew_us'),
bookings AS (SELECT intent, min(at_us) AS at_us FROM books WHERE kind = 'order_booked' GROUP BY intent),
accepted AS MATERIALIZED (
    SELECT
        i.intent, c.price_list, c.jurisdiction,
        i.first_invoked_us - s.us AS from_us,
        least(coalesce(i.first_ok_us, b.at_us), coalesce(b.at_us, i.first_ok_us)) + s.us AS to_us
    FROM intents AS i
    LEFT JOIN bookings AS b ON b.intent = i.intent
    LEFT JOIN (SELECT * FROM master WHERE record = 'customer') AS c ON c.customer_id = i.customer_id
    CROSS JOIN skew AS s
),
ordered_lines AS MATERIALIZED (
    SELECT a.intent, a.line_no, a.sku, a.quantity, p.unit_price_minor, p.tax_rate_bp
    FROM asked AS a
    LEFT JOIN promises AS p ON p.intent = a.intent AND p.line_no = a.line_no
),
contract AS (
    SELECT
        l.intent, l.line_no,
        min(p.unit_price_minor) AS lowest_minor, max(p.unit_price_minor) AS highest_minor,
        list(DISTINCT p.unit_price_minor) AS prices_minor
    FROM ordered_lines AS l
    JOIN accepted AS a ON a.intent = l.intent
    JOIN (SELECT * FROM master WHERE record = 'price') AS p ON p.price_list = a.price_list AND p.sku = l.sku
    WHERE p.valid_from_us <= a.to_us AND (p.valid_to_us IS NULL OR p.valid_to_us > a.from_us)
    GROUP BY l.intent, l.line_no
),
taxed AS (
    SELECT l.intent, l.line_no, any_value(r.tax_rate_bp) AS tax_rate_bp
    FROM ordered_lines AS l
    JOIN accepted AS a ON a.intent = l.intent
    JOIN (SELECT * FROM master WHERE record = 'item') AS m ON m.sku = l.sku
    JOIN (SELECT * FROM master WHERE record = 'tax_rate') AS r
        ON r.jurisdiction = a.jurisdiction AND r.tax_category = m.tax_category
    GROUP BY l.intent, l.line_no
),
shipped AS (
    SELECT intent, shipment_id, line_no, -sum(quantity) AS quantity
    FROM books WHERE kind = 'shipped' AND intent IS NOT NULL
    GROUP BY intent, shipment_id, line_no
),
entries AS (
    SELECT
        intent, kind AS entry, business_key, shipment_id, line_no, any_value(sku) AS sku, max(at_us) AS at_us,
        sum(quantity)::BIGINT AS quantity, sum(amount_minor)::BIGINT AS net_minor, sum(tax_minor)::BIGINT AS tax_minor
    FROM books
    WHERE kind IN ('order_line', 'invoiced') AND intent IS NOT NULL
    GROUP BY intent, kind, business_key, shipment_id, line_no
),
reckoned AS MATERIALIZED (
    SELECT
        e.*, l.unit_price_minor, coalesce(l.tax_rate_bp, t.tax_rate_bp) AS rate_bp, t.tax_rate_bp AS contract_rate_bp,
        l.tax_rate_bp AS promised_rate_bp, c.prices_minor, c.lowest_minor, c.highest_minor,
        CASE WHEN e.entry = 'invoiced' THEN coalesce(s.quantity, 0) ELSE coalesce(l.quantity, 0) END AS due
    FROM entries AS e
    LEFT JOIN ordered_lines AS l ON l.intent = e.intent AND l.line_no = e.line_no
    LEFT JOIN contract AS c ON c.intent = e.intent AND c.line_no = e.line_no
    LEFT JOIN taxed AS t ON t.intent = e.intent AND t.line_no = e.line_no
    LEFT JOIN shipped AS s ON s.intent = e.intent AND s.shipment_id = e.shipment_id AND s.line_no = e.line_no
),
lines AS (
    SELECT
        *,
        -- the price of the contract that comes nearest to what was booked
        coalesce(
            list_min(list_transform(prices_minor, lambda price: abs(net_minor - due * price))), abs(net_minor)
        )::BIGINT AS contract_gap,
        CASE
            WHEN unit_price_minor IS NULL THEN 0 ELSE abs(net_minor - due * unit_price_minor)
        END::BIGINT AS promise_gap,
        CASE
            WHEN tax_minor IS NULL OR rate_bp IS NULL THEN 0
            ELSE abs(tax_minor - (net_minor * rate_bp + 5000) // 10000)
        END::BIGINT AS tax_gap
    FROM reckoned
    WHERE net_minor IS NOT NULL
),
judged AS (
    SELECT
        CASE
            WHEN prices_minor IS NULL THEN 'no_contract_price'
            WHEN entry = 'order_line' AND contract_gap > 0 THEN 'booked_other_than_asked'
            WHEN contract_gap > 0 THEN 'net_not_by_contract'
            WHEN promise_gap > 0 THEN 'net_not_as_answered'
            WHEN promised_rate_bp <> contract_rate_bp THEN 'tax_rate_not_by_contract'
            WHEN tax_gap > 0 THEN 'tax_wrong'
        END AS kind,
        greatest(contract_gap, promise_gap, tax_gap, 1) AS badness,
        *
    FROM lines
),
invoices AS (
    SELECT
        d.intent, d.business_key, d.at_us, d.amount_minor AS total_minor,
        coalesce(l.net_minor, 0) + coalesce(l.tax_minor, 0) AS sum_minor
    FROM (SELECT * FROM books WHERE kind = 'invoice' AND intent IS NOT NULL AND amount_minor IS NOT NULL) AS d
    LEFT JOIN (
        SELECT
            intent, business_key, sum(net_minor) AS net_minor,
            sum(coalesce(tax_minor, (net_minor * rate_bp + 5000) // 10000)) AS tax_minor
        FROM reckoned WHERE entry = 'invoiced'
        GROUP BY intent, business_key
    ) AS l ON l.intent = d.intent AND l.business_key = d.business_key
),
returns AS (
    SELECT
        intent, line_no, any_value(sku) AS sku, max(at_us) AS at_us,
        coalesce(sum(abs(quantity)) FILTER (WHERE kind = 'returned'), 0) AS returned,
        coalesce(sum(abs(quantity)) FILTER (WHERE kind = 'credited'), 0) AS credited
    FROM books
    WHERE kind IN ('returned', 'credited') AND intent IS NOT NULL
    GROUP BY intent, line_no
),
found AS (
    SELECT
        kind, at_us, badness, intent, line_no, sku, business_key AS subject,
        {'entry': entry, 'quantity': quantity, 'due': due::BIGINT, 'net_minor': net_minor, 'tax_minor': tax_minor,
         'answered_price_minor': unit_price_minor, 'contract_price_minor': lowest_minor,
         'contract_price_at_most_minor': highest_minor, 'tax_rate_bp': rate_bp} AS money
    FROM judged WHERE kind IS NOT NULL
    UNION ALL
    SELECT
        'total_wrong', at_us, abs(total_minor - sum_minor), intent, NULL, '', business_key,
        {'entry': 'invoice', 'quantity': NULL, 'due': NULL, 'net_minor': total_minor, 'tax_minor': sum_minor::BIGINT,
         'answered_price_minor': NULL, 'contract_price_minor': NULL, 'contract_price_at_most_minor': NULL,
         'tax_rate_bp': NULL}
    FROM invoices WHERE total_minor <> sum_minor
    UNION ALL
    SELECT
        CASE WHEN credited > returned THEN 'credited_unreturned' ELSE 'returned_uncredited' END, at_us,
        abs(credited - returned)::BIGINT, intent, line_no, sku, '',
        {'entry': 'credited', 'quantity': credited::BIGINT, 'due': returned::BIGINT, 'net_minor': NULL,
         'tax_minor': NULL, 'answered_price_minor': NULL, 'contract_price_minor': NULL,
         'contract_price_at_most_minor': NULL, 'tax_rate_bp': NULL}
    FROM returns
    WHERE credited > returned OR (credited < returned AND (SELECT quiet_us FROM moments) IS NOT NULL)
)
SELECT
    f.kind, f.at_us, f.badness::BIGINT AS badness, i.customer_id, i.order_reference, f.line_no, f.sku, f.subject,
    f.money
FROM found AS f
JOIN intents AS i USING (intent)
