-- What clients asked and were answered, by intent: one (customer_id, order_reference), whatever keys were used.
-- `intent` is a small number for it, so that everything after joins on integers.

CREATE MACRO problem_key(problem) AS regexp_replace(problem, '^.*:', '');

-- Keys of requests that the network delivered once more, where the copy was taken in and not turned away: one more
-- attempt, of which no client ever hears. What it did, the answers that clients got say nothing about.
CREATE TABLE unheard_copies AS
SELECT DISTINCT key FROM exchanges
WHERE copy > 0 AND coalesce(key, '') <> '' AND handled_at_us IS NOT NULL
    AND coalesce(status, 0) NOT BETWEEN 400 AND 499;

CREATE TABLE intents AS
SELECT row_number() OVER (ORDER BY customer_id, order_reference) AS intent, *
FROM (
    SELECT
        customer_id,
        order_reference,
        min(channel) AS channel,
        min(invoked_at_us) AS first_invoked_us,
        -- a client knows of an acceptance when its first `ok` answer has arrived
        min(completed_at_us) FILTER (WHERE outcome = 'ok') AS first_ok_us,
        arg_min(order_id, completed_at_us) FILTER (WHERE outcome = 'ok') AS order_id,
        arg_min(order_status, completed_at_us) FILTER (WHERE outcome = 'ok') AS first_status,
        arg_min(answer_lines, completed_at_us) FILTER (WHERE outcome = 'ok') AS answer_lines,
        bool_and(outcome = 'fail' AND NOT coalesce(key IN (FROM unheard_copies), FALSE)) AS all_failed
    FROM operations
    WHERE operation = 'place_order'
    GROUP BY customer_id, order_reference
);

-- The keys under which an order was asked for. Only one that did not fail for certain may have made an order.
CREATE TABLE order_keys AS
SELECT
    customer_id,
    order_reference,
    key,
    bool_and(outcome = 'fail' AND NOT coalesce(key IN (FROM unheard_copies), FALSE)) AS failed,
    min(invoked_at_us) AS first_invoked_us,
    min(order_id) FILTER (WHERE outcome = 'ok') AS order_id
FROM operations
WHERE operation = 'place_order'
GROUP BY customer_id, order_reference, key;

-- What was asked, per line, in base units, under keys that may have made an order (under any, where all failed). A
-- client that sends two such payloads for one intent asked for the larger.
CREATE TABLE asked AS
SELECT i.intent, l.line_no, max(l.sku) AS sku, max(l.quantity) AS quantity
FROM (
    SELECT customer_id, order_reference, key, unnest(lines) AS l
    FROM operations
    WHERE operation = 'place_order'
) AS o
JOIN intents AS i USING (customer_id, order_reference)
SEMI JOIN (
    SELECT customer_id, order_reference, key FROM order_keys WHERE NOT failed
    UNION ALL
    SELECT k.customer_id, k.order_reference, k.key
    FROM order_keys AS k JOIN intents AS n USING (customer_id, order_reference)
    WHERE n.all_failed
) AS may
    ON may.customer_id = o.customer_id AND may.order_reference = o.order_reference
    AND may.key IS NOT DISTINCT FROM o.key
GROUP BY i.intent, l.line_no;

-- What was promised, per line, in the first `ok` answer. Here ordered = confirmed + backordered.
CREATE TABLE promises AS
SELECT intent, l.line_no, l.sku, l.ordered, l.confirmed, l.backordered, l.unit_price_minor, l.tax_rate_bp
FROM (SELECT intent, unnest(answer_lines) AS l FROM intents WHERE first_ok_us IS NOT NULL);

CREATE TABLE promised AS
SELECT
    p.intent,
    p.sku,
    any_value(i.first_invoked_us) AS first_invoked_us,
    any_value(i.first_ok_us) AS first_ok_us,
    sum(p.ordered)::BIGINT AS ordered,
    sum(p.confirmed)::BIGINT AS confirmed,
    sum(p.backordered)::BIGINT AS backordered
FROM promises AS p
JOIN intents AS i USING (intent)
GROUP BY p.intent, p.sku;

-- The partners' books, each entry with the intent that it names (null when it names none that a client ever had).
CREATE TABLE books AS
SELECT l.* EXCLUDE (location, balance, held_balance, stock_sequence, order_id, order_version), i.intent
FROM ledger AS l
LEFT JOIN intents AS i ON l.customer_id = i.customer_id AND l.order_reference = i.order_reference
WHERE l.kind NOT IN ('event_taken', 'event_refused', 'event_unsigned');

-- Cancellations, one row per key: earliest moment of effect, and what the first acknowledgement (200) said.
CREATE TABLE cancels AS
SELECT
    i.intent,
    o.key,
    min(o.invoked_at_us) AS invoked_us,
    bool_and(o.outcome = 'fail' AND NOT coalesce(o.key IN (FROM unheard_copies), FALSE)) AS refused,
    min(o.completed_at_us) FILTER (WHERE o.outcome = 'ok' AND o.status = 200) AS acknowledged_us,
    arg_min(o.answer_lines, o.completed_at_us) FILTER (WHERE o.outcome = 'ok' AND o.status = 200) AS answer_lines,
    any_value(o.lines) AS lines
FROM operations AS o
JOIN intents AS i
    ON (o.customer_id = i.customer_id AND o.order_reference = i.order_reference)
WHERE o.operation = 'cancel_order'
GROUP BY i.intent, o.key;

-- Acknowledged cancellations per line; `quantity` is null where neither answer nor request named lines: all was meant.
CREATE TABLE acknowledged_cancels AS
SELECT c.intent, c.key, c.acknowledged_us, l.line_no, l.cancelled AS quantity
FROM (SELECT *, unnest(answer_lines) AS l FROM cancels WHERE acknowledged_us IS NOT NULL) AS c
UNION ALL
SELECT c.intent, c.key, c.acknowledged_us, l.line_no, l.quantity
FROM (
    SELECT *, unnest(lines) AS l FROM cancels
    WHERE acknowledged_us IS NOT NULL AND coalesce(len(answer_lines), 0) = 0
) AS c
UNION ALL
SELECT c.intent, c.key, c.acknowledged_us, p.line_no, NULL
FROM cancels AS c
JOIN promises AS p USING (intent)
WHERE c.acknowledged_us IS NOT NULL AND coalesce(len(c.answer_lines), 0) = 0 AND coalesce(len(c.lines), 0) = 0;

CREATE TABLE nodes AS SELECT DISTINCT subject AS node, text AS kind FROM facts WHERE fact = 'node';

CREATE TABLE moments AS
SELECT
    max(value) FILTER (WHERE fact = 'loaded_at_us') AS loaded_us,
    max(value) FILTER (WHERE fact = 'healed_at_us') AS healed_us,
    max(value) FILTER (WHERE fact = 'quiet_at_us') AS quiet_us,
    max(value) FILTER (WHERE fact = 'drain_bound_us') AS drain_bound_us,
    coalesce(bool_or(text = 'partial') FILTER (WHERE fact = 'final_reads'), FALSE) AS reads_partial
FROM facts;

-- The last answer about each order that was read at the end.
CREATE TABLE final_orders AS
SELECT i.intent, f.*
FROM final AS f
JOIN intents AS i ON f.customer_id = i.customer_id AND f.order_reference = i.order_reference
WHERE f.read = 'order'
QUALIFY row_number() OVER (PARTITION BY i.intent ORDER BY f.at_us DESC, f.seq DESC) = 1;

CREATE TABLE final_lines AS
SELECT intent, at_us, l.line_no, l.sku, l.ordered, l.confirmed, l.backordered, l.shipped, l.cancelled, l.short
FROM (SELECT intent, at_us, unnest(lines) AS l FROM final_orders WHERE status = 200);
