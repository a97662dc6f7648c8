-- name: everyone_is_told
-- holds when: each subscriber has taken, signed, an event for every order that a client knows as accepted, for every
--   shipment that left and was invoiced and every order with cancelled units; nothing is announced that did not
--   happen; events of an order are first taken in the order of its versions
-- requires: operations, ledger, final
-- needs quiet: or still
-- applies when: the scenario has subscribers
--
-- What happened is read of the partners' books, the clients' answers and the orders at the end, never of the
-- integration's own log. An event that comes twice is no fault: its id tells. What became a dead letter was not told.
-- Events of backorders are not owed, for nobody else books them; they are judged by their order only.

-- examined
SELECT f.subject, f.text, i.intent
FROM facts AS f JOIN intents AS i ON i.first_ok_us IS NOT NULL
WHERE f.fact = 'subscriber';

-- counterexamples
WITH subscribers AS (SELECT subject AS subscriber, text AS event, value AS since_us FROM facts WHERE fact = 'subscriber'),
happened AS (
    SELECT 'order.accepted' AS event, intent, '' AS shipment_id, first_ok_us AS at_us
    FROM intents WHERE first_ok_us IS NOT NULL
    UNION ALL
    SELECT 'order.shipped', intent, shipment_id, max(at_us)
    FROM books WHERE kind = 'shipped' AND intent IS NOT NULL AND shipment_id IS NOT NULL GROUP BY intent, shipment_id
    UNION ALL
    SELECT 'order.invoiced', intent, shipment_id, max(at_us)
    FROM books WHERE kind = 'invoiced' AND intent IS NOT NULL AND shipment_id IS NOT NULL GROUP BY intent, shipment_id
    UNION ALL
    SELECT 'order.cancelled', intent, '', max(at_us)
    FROM final_lines GROUP BY intent HAVING sum(cancelled + short) > 0
),
told AS (
    SELECT l.seq, l.partner AS subscriber, l.kind, l.status AS event, l.business_key AS event_id, l.at_us,
        l.customer_id, l.order_reference, l.order_id, l.order_version, coalesce(l.shipment_id, '') AS shipment_id,
        l.reason, i.intent
    FROM ledger AS l
    LEFT JOIN intents AS i ON i.customer_id = l.customer_id AND i.order_reference = l.order_reference
    WHERE l.kind IN ('event_taken', 'event_unsigned')
),
taken AS (SELECT * FROM told WHERE kind = 'event_taken'),
missing AS (
    SELECT s.subscriber, h.event, h.intent, h.shipment_id, h.at_us
    FROM subscribers AS s
    JOIN happened AS h ON h.event = s.event
    ANTI JOIN taken AS t
        ON t.subscriber = s.subscriber AND t.event = h.event AND t.intent = h.intent AND t.shipment_id = h.shipment_id
    WHERE s.since_us IS NOT NULL
),
untrue AS (
    SELECT t.*
    FROM taken AS t
    LEFT JOIN final_orders AS f ON f.intent = t.intent
    WHERE CASE
        WHEN t.intent IS NULL THEN TRUE
        WHEN f.status = 200 AND f.order_id IS DISTINCT FROM t.order_id THEN TRUE
        WHEN f.status = 404 THEN TRUE
        WHEN t.event IN ('order.shipped', 'order.invoiced')
        THEN (t.event, t.intent, t.shipment_id) NOT IN (SELECT (event, intent, shipment_id) FROM happened)
        ELSE FALSE
    END
),
firsts AS (
    SELECT * FROM taken
    QUALIFY row_number() OVER (PARTITION BY subscriber, event_id ORDER BY at_us, seq) = 1
),
placed AS (
    SELECT *, max(order_version) OVER (
        PARTITION BY subscriber, order_id ORDER BY at_us, seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS version_before
    FROM firsts
)
SELECT
    'missing' AS kind, m.at_us, 1::BIGINT AS badness, i.customer_id, i.order_reference, m.subscriber, m.event,
    m.shipment_id AS subject
FROM missing AS m JOIN intents AS i USING (intent)
UNION ALL
SELECT 'never_subscribed', 0, count(*), NULL, NULL, subscriber, NULL, NULL
FROM subscribers WHERE since_us IS NULL GROUP BY subscriber
UNION ALL
SELECT 'badly_signed', at_us, 1, customer_id, order_reference, subscriber, event, event_id
FROM told WHERE kind = 'event_unsigned'
UNION ALL
SELECT 'untrue', at_us, 1, customer_id, order_reference, subscriber, event, event_id FROM untrue
UNION ALL
SELECT 'out_of_order', at_us, version_before - order_version, customer_id, order_reference, subscriber, event, event_id
FROM placed WHERE order_version < version_before
