-- Open commitments: how many units of a sku were promised, at least and at most, as running balances.
--
-- A pool is one node, or '*' for all of them. One order's use of a pool is max(promised - ended, shipped): a promise
-- ends by a cancellation, a short pick or a refusal; what ships beyond it (a backorder that was served later) is used
-- up too. The lower bound takes the latest beginning and the earliest end of each, the upper bound the reverse.

CREATE TABLE ends_booked AS
SELECT coalesce(intent, -1) AS intent, sku, partner AS node, at_us, abs(quantity) AS quantity
FROM books
WHERE kind IN ('short', 'release_rejected', 'release_cancelled');

-- Which node a confirmed quantity was promised from, as the accepted releases show. Where more was released than
-- confirmed, to several nodes, it was sourced again: then the first releases count, if none of them was given up before
-- they were complete and nothing was waiting for stock, which may come before them; else nothing certain can be said.
CREATE TABLE attributed AS
WITH releases AS (
    SELECT
        r.intent, r.sku, r.partner AS node, r.quantity, p.confirmed, p.backordered,
        sum(r.quantity) OVER whole AS released_in_all,
        count(DISTINCT r.partner) OVER whole AS node_count,
        sum(r.quantity) OVER so_far <= p.confirmed AND r.at_us < coalesce(e.at_us, r.at_us + 1) AS is_first
    FROM books AS r
    JOIN promised AS p ON p.intent = r.intent AND p.sku = r.sku
    LEFT JOIN (SELECT intent, sku, min(at_us) AS at_us FROM ends_booked GROUP BY intent, sku) AS e
        ON e.intent = r.intent AND e.sku = r.sku
    WHERE r.kind = 'release_accepted'
    WINDOW whole AS (PARTITION BY r.intent, r.sku),
        so_far AS (PARTITION BY r.intent, r.sku ORDER BY r.at_us, r.partner, r.seq ROWS UNBOUNDED PRECEDING)
),
counted AS (
    SELECT *, sum(quantity) FILTER (WHERE is_first) OVER (PARTITION BY intent, sku) AS first_in_all FROM releases
)
SELECT intent, sku, node, least(sum(quantity), any_value(confirmed))::BIGINT AS quantity
FROM counted
WHERE released_in_all <= confirmed OR node_count = 1 OR (is_first AND first_in_all = confirmed AND backordered = 0)
GROUP BY intent, sku, node;

-- What clients wanted cancelled, and was not definitely refused, from the moment of asking.
CREATE TABLE cancels_asked AS
SELECT c.intent, p.sku, c.invoked_us AS at_us, sum(l.quantity)::BIGINT AS quantity
FROM (SELECT *, unnest(lines) AS l FROM cancels WHERE NOT refused) AS c
JOIN promises AS p ON p.intent = c.intent AND p.line_no = c.l.line_no
GROUP BY c.intent, p.sku, c.invoked_us
UNION ALL
SELECT c.intent, p.sku, c.invoked_us, p.ordered
FROM cancels AS c
JOIN promised AS p USING (intent)
WHERE NOT c.refused AND coalesce(len(c.lines), 0) = 0;

CREATE TABLE ships_booked AS
SELECT coalesce(intent, -1) AS intent, sku, partner AS node, at_us, sum(-quantity)::BIGINT AS quantity
FROM books
WHERE kind = 'shipped'
GROUP BY ALL;

-- Column `promise` begins a commitment, `ended` ends it, `shipped` is used up for good.
CREATE TABLE least_events AS
SELECT '*' AS pool, intent, sku, first_ok_us AS at_us, confirmed AS promise, 0 AS ended, 0 AS shipped FROM promised
UNION ALL SELECT '*', intent, sku, at_us, 0, quantity, 0 FROM ends_booked
UNION ALL SELECT '*', intent, sku, at_us, 0, quantity, 0 FROM cancels_asked
UNION ALL SELECT '*', intent, sku, at_us, 0, 0, quantity FROM ships_booked
UNION ALL
SELECT a.node, a.intent, a.sku, p.first_ok_us, a.quantity, 0, 0
FROM attributed AS a JOIN promised AS p ON p.intent = a.intent AND p.sku = a.sku
UNION ALL SELECT node, intent, sku, at_us, 0, quantity, 0 FROM ends_booked
UNION ALL
SELECT a.node, c.intent, c.sku, c.at_us, 0, c.quantity, 0
FROM cancels_asked AS c JOIN attributed AS a ON a.intent = c.intent AND a.sku = c.sku
UNION ALL SELECT node, intent, sku, at_us, 0, 0, quantity FROM ships_booked;

-- At most: everything ordered by whoever was not definitely refused, from its first call on, until an answered cancel.
CREATE TABLE most_events AS
SELECT '*' AS pool, intent, sku, first_invoked_us AS at_us, ordered AS promise, 0 AS ended, 0 AS shipped FROM promised
UNION ALL
SELECT '*', a.intent, a.sku, i.first_invoked_us, a.quantity, 0, 0
FROM asked AS a JOIN intents AS i USING (intent)
WHERE i.first_ok_us IS NULL AND NOT i.all_failed
UNION ALL
SELECT '*', c.intent, p.sku, c.acknowledged_us, 0, c.quantity, 0
FROM acknowledged_cancels AS c JOIN promises AS p ON p.intent = c.intent AND p.line_no = c.line_no
WHERE c.quantity IS NOT NULL
UNION ALL SELECT '*', intent, sku, at_us, 0, 0, quantity FROM ships_booked;

CREATE MACRO use_steps(events) AS TABLE
    SELECT
        pool, sku, at_us,
        sum(delta) OVER running AS level,
        sum(gain) OVER running AS gained
    FROM (
        SELECT pool, sku, at_us, sum(delta)::BIGINT AS delta, sum(greatest(delta, 0))::BIGINT AS gain
        FROM (
            SELECT pool, sku, at_us, used - coalesce(lag(used) OVER one_order, 0) AS delta
            FROM (
                SELECT
                    pool, intent, sku, at_us,
                    greatest(sum(promise) OVER so_far - sum(ended) OVER so_far, sum(shipped) OVER so_far, 0) AS used
                FROM (
                    SELECT
                        pool, intent, sku, at_us,
                        sum(promise)::BIGINT AS promise, sum(ended)::BIGINT AS ended, sum(shipped)::BIGINT AS shipped
                    FROM query_table(events)
                    GROUP BY pool, intent, sku, at_us
                )
                WINDOW so_far AS (PARTITION BY pool, intent, sku ORDER BY at_us ROWS UNBOUNDED PRECEDING)
            )
            WINDOW one_order AS (PARTITION BY pool, intent, sku ORDER BY at_us)
        )
        GROUP BY pool, sku, at_us
    )
    WINDOW running AS (PARTITION BY pool, sku ORDER BY at_us ROWS UNBOUNDED PRECEDING);

CREATE TABLE least_used AS FROM use_steps('least_events');
CREATE TABLE most_used AS FROM use_steps('most_events');
