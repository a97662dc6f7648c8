-- name: poison_is_parked
-- holds when: while a message is tried again and again, those on the same way that came after it are sent within a
--   bound
-- requires: operations, exchanges, faults, facts.retry_budget, facts.parking_bound_us
-- needs quiet: no
-- applies when: a call of the integration was tried four times or more over longer than the parking bound
--
-- Followed are messages whose cause is in evidence: a sales order (the client's ok answer), a shipment or a label (the
-- webhook that told of it), an invoice (the confirmed shipment). One is held up when it is not sent within the bound
-- though nothing else was sent that way but the poison, twice or more. Where others failed too the partner is ill,
-- where it asked for patience it must have it, and a crash or pause stops everybody: none of that is judged.

-- examined
SELECT e.target, coalesce(e.key, e.path) AS message
FROM exchanges AS e
SEMI JOIN (SELECT text, subject FROM facts WHERE fact = 'retry_budget') AS b
    ON b.text = e.source AND b.subject = e.target
WHERE e.source = 'integration' AND e.copy = 0 AND coalesce(e.correlation_id, '') <> ''
GROUP BY e.target, e.route, coalesce(e.key, e.path)
HAVING count(*) >= 4 AND max(e.sent_at_us) - min(e.sent_at_us)
    > (SELECT max(value) FROM facts WHERE fact = 'parking_bound_us');

-- counterexamples
WITH bound AS (SELECT max(value) AS us FROM facts WHERE fact = 'parking_bound_us'),
calls AS MATERIALIZED (
    SELECT
        target, route, key, coalesce(key, path) AS called, correlation_id, sent_at_us, completed_at_us,
        status, outcome, retry_after_s,
        CASE
            WHEN target = 'erp' AND method = 'POST' AND route = '/sales-orders' THEN 'sales_order'
            WHEN target = 'erp' AND method = 'POST' AND route = '/shipments' THEN 'shipment'
            WHEN target = 'erp' AND method = 'POST' AND route = '/invoices' THEN 'invoice'
            WHEN target = 'carrier' AND method = 'POST' AND route = '/labels' THEN 'label'
        END AS message
    FROM exchanges
    WHERE source = 'integration' AND copy = 0 AND coalesce(correlation_id, '') <> ''
        AND target IN (SELECT subject FROM facts WHERE fact = 'retry_budget' AND text = 'integration')
),
poison AS MATERIALIZED (
    SELECT
        target, called, any_value(correlation_id) AS correlation_id, min(sent_at_us) AS from_us,
        max(sent_at_us) AS to_us
    FROM calls
    GROUP BY target, route, called
    HAVING count(*) >= 4 AND max(sent_at_us) - min(sent_at_us) > (SELECT us FROM bound)
),
sent AS MATERIALIZED (
    SELECT target, message, key, correlation_id, min(sent_at_us) AS sent_us
    FROM calls
    WHERE message IS NOT NULL AND target IN (SELECT target FROM poison)
    GROUP BY target, message, key, correlation_id
),
told AS (
    SELECT correlation_id, event_type, handled_at_us AS at_us
    FROM exchanges
    WHERE target = 'integration' AND event_type IN ('release.shipped', 'release.packed')
        AND status BETWEEN 200 AND 299 AND handled_at_us IS NOT NULL
),
accepted AS (
    SELECT o.correlation_id, any_value(i.intent) AS intent, min(i.first_ok_us) AS at_us
    FROM operations AS o
    JOIN intents AS i ON i.customer_id = o.customer_id AND i.order_reference = o.order_reference
    WHERE o.operation = 'place_order' AND i.first_ok_us IS NOT NULL AND i.first_status IS DISTINCT FROM 'on_hold'
        AND EXISTS (SELECT 1 FROM poison)
    GROUP BY o.correlation_id
),
done AS (
    SELECT correlation_id, message, completed_at_us AS at_us
    FROM calls
    WHERE message IN ('sales_order', 'shipment') AND outcome = 'answered' AND status BETWEEN 200 AND 299
),
caused AS (
    -- an order that was never sent waits until the end of what was seen
    SELECT 'erp' AS target, 'sales_order' AS message, s.key, a.correlation_id, a.at_us AS cause_us, s.sent_us
    FROM accepted AS a
    LEFT JOIN (SELECT * FROM sent WHERE message = 'sales_order') AS s ON s.correlation_id = a.correlation_id
    UNION ALL
    SELECT s.target, s.message, s.key, s.correlation_id, greatest(t.at_us, coalesce(b.at_us, t.at_us)), s.sent_us
    FROM (SELECT * FROM sent WHERE message = 'shipment') AS s
    ASOF JOIN (SELECT * FROM told WHERE event_type = 'release.shipped') AS t
        ON t.correlation_id = s.correlation_id AND s.sent_us >= t.at_us
    ASOF LEFT JOIN (SELECT * FROM done WHERE message = 'sales_order') AS b
        ON b.correlation_id = s.correlation_id AND s.sent_us >= b.at_us
    UNION ALL
    SELECT s.target, s.message, s.key, s.correlation_id, t.at_us, s.sent_us
    FROM (SELECT * FROM sent WHERE message = 'label') AS s
    ASOF JOIN (SELECT * FROM told WHERE event_type = 'release.packed') AS t
        ON t.correlation_id = s.correlation_id AND s.sent_us >= t.at_us
    UNION ALL
    SELECT s.target, s.message, s.key, s.correlation_id, d.at_us, s.sent_us
    FROM (SELECT * FROM sent WHERE message = 'invoice') AS s
    ASOF JOIN (SELECT * FROM done WHERE message = 'shipment') AS d
        ON d.correlation_id = s.correlation_id AND s.sent_us >= d.at_us
),
horizon AS (SELECT coalesce(max(sent_at_us), 0) AS at_us FROM calls),
waited AS MATERIALIZED (
    SELECT
        c.target, c.message, c.key, c.correlation_id, c.cause_us, coalesce(c.sent_us, h.at_us) AS sent_us,
        p.called AS poison, p.correlation_id AS poison_correlation_id
    FROM caused AS c
    CROSS JOIN horizon AS h
    JOIN poison AS p
        ON p.target = c.target AND p.correlation_id <> c.correlation_id AND p.from_us <= c.cause_us
        AND p.to_us >= c.cause_us
    WHERE coalesce(c.sent_us, h.at_us) - c.cause_us > (SELECT us FROM bound)
),
company AS (
    SELECT
        w.target, w.message, w.correlation_id, w.cause_us, w.sent_us, any_value(w.key) AS key, w.poison,
        count(*) FILTER (WHERE x.correlation_id = w.poison_correlation_id) AS poison_calls,
        -- a look whether it has arrived already comes right before the message itself
        count(*) FILTER (
            WHERE x.correlation_id <> w.poison_correlation_id
                AND NOT (x.correlation_id = w.correlation_id AND x.key IS NULL)
        ) AS other_calls,
        count(*) FILTER (WHERE x.retry_after_s > 0 OR x.status = 429) AS pleas
    FROM waited AS w
    JOIN calls AS x ON x.target = w.target AND x.sent_at_us > w.cause_us AND x.sent_at_us < w.sent_us
    GROUP BY w.target, w.message, w.correlation_id, w.cause_us, w.sent_us, w.poison
),
ill AS (
    -- others that failed shortly before: the partner as a whole was out of order
    SELECT DISTINCT w.target, w.correlation_id, w.cause_us, w.poison
    FROM waited AS w
    JOIN calls AS x
        ON x.target = w.target AND x.sent_at_us BETWEEN w.cause_us - 900_000_000 AND w.sent_us
        AND x.correlation_id <> w.poison_correlation_id
        AND (x.outcome <> 'answered' OR x.status >= 429)
)
SELECT
    'held_up' AS kind, c.cause_us + (SELECT us FROM bound) AS at_us, c.sent_us - c.cause_us AS badness,
    i.customer_id, i.order_reference, c.target, c.message, c.key, c.poison, c.poison_calls
FROM company AS c
ANTI JOIN ill AS l
    ON l.target = c.target AND l.correlation_id = c.correlation_id AND l.cause_us = c.cause_us
    AND l.poison = c.poison
LEFT JOIN accepted AS a ON a.correlation_id = c.correlation_id
LEFT JOIN intents AS i ON i.intent = a.intent
WHERE c.poison_calls >= 2 AND c.other_calls = 0 AND c.pleas = 0
    AND NOT EXISTS (
        SELECT 1 FROM faults AS f
        WHERE f.kind IN ('crash', 'pause') AND split_part(f.target, ' ', 1) = 'integration'
            AND f.from_us <= c.sent_us AND coalesce(f.to_us, f.from_us) >= c.cause_us
    )
