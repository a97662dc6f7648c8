-- What an expectation `seen:NAME` may name, and whether it was seen. Costs nothing until it is asked.
CREATE VIEW seen AS
WITH orders_by_sku AS (
    SELECT
        l.sku, o.customer_id, o.order_reference, min(o.invoked_at_us) AS from_us, max(o.completed_at_us) AS to_us,
        bool_or(problem_key(o.problem) = 'out-of-stock')
            OR bool_or(coalesce(list_sum(list_transform(o.answer_lines, lambda line: line.backordered)), 0) > 0)
            AS unmet
    FROM (SELECT *, unnest(lines) AS l FROM operations WHERE operation = 'place_order') AS o
    GROUP BY l.sku, o.customer_id, o.order_reference
),
neighbours AS (
    SELECT
        from_us, unmet,
        lag(from_us) OVER by_sku AS from_before_us, lag(unmet) OVER by_sku AS unmet_before,
        max(to_us) OVER (by_sku ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS to_before_us
    FROM orders_by_sku
    WINDOW by_sku AS (PARTITION BY sku ORDER BY from_us, customer_id, order_reference)
),
messages AS (
    SELECT arrived_at_us, max(arrived_at_us) OVER (
        PARTITION BY source, target ORDER BY sent_at_us ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS latest_before_us
    FROM exchanges
    WHERE coalesce(event_type, '') <> '' AND arrived_at_us IS NOT NULL
),
retries AS (
    SELECT 1 FROM operations WHERE operation = 'place_order'
    GROUP BY customer_id, order_reference, key HAVING count(*) > 1
),
splits AS (
    SELECT 1 FROM ledger WHERE kind = 'release_accepted'
    GROUP BY customer_id, order_reference HAVING count(DISTINCT partner) > 1
),
waits AS (
    SELECT count(*) AS orders
    FROM intents AS i
    LEFT JOIN (
        SELECT intent, min(at_us) AS at_us FROM books WHERE kind = 'order_booked' GROUP BY intent
    ) AS b USING (intent)
    WHERE i.first_ok_us IS NOT NULL AND coalesce(b.at_us - i.first_ok_us, 60_000_001) > 60_000_000
)
SELECT 'duplicate_delivered' AS name, EXISTS (
    SELECT 1 FROM exchanges WHERE copy > 0 AND handled_at_us IS NOT NULL
    UNION ALL
    SELECT 1 FROM exchanges
    WHERE coalesce(event_type, '') <> '' AND handled_at_us IS NOT NULL
    GROUP BY source, target, key HAVING count(*) > 1
) AS was_seen
UNION ALL SELECT 'reply_lost_after_effect', EXISTS (
    SELECT 1 FROM exchanges
    WHERE copy = 0 AND handled_at_us IS NOT NULL AND status < 300 AND outcome IN ('timeout', 'reset')
)
UNION ALL SELECT 'reordered', EXISTS (SELECT 1 FROM messages WHERE arrived_at_us < latest_before_us)
UNION ALL SELECT 'short_pick', EXISTS (SELECT 1 FROM ledger WHERE kind = 'short')
UNION ALL SELECT 'backorder', EXISTS (SELECT 1 FROM promises WHERE backordered > 0)
    OR EXISTS (SELECT 1 FROM ledger WHERE kind = 'order_changed' AND reason = 'backorder')
UNION ALL SELECT 'contention', EXISTS (
    SELECT 1 FROM neighbours
    WHERE from_us < to_before_us OR ((unmet OR unmet_before) AND from_us - from_before_us <= 300_000_000)
)
UNION ALL SELECT 'client_retry_same_key', EXISTS (FROM retries)
UNION ALL SELECT 'fresh_key_refused', EXISTS (
    SELECT 1 FROM operations WHERE problem_key(problem) = 'order-reference-used'
)
UNION ALL SELECT 'cancel', EXISTS (SELECT 1 FROM operations WHERE operation = 'cancel_order' AND outcome = 'ok')
UNION ALL SELECT 'stock_moved', EXISTS (SELECT 1 FROM ledger WHERE kind IN ('adjustment', 'receipt'))
UNION ALL SELECT 'client_timeout', EXISTS (SELECT 1 FROM operations WHERE outcome = 'info' AND status IS NULL)
UNION ALL SELECT 'split_order', EXISTS (FROM splits)
UNION ALL SELECT 'rate_limited', EXISTS (SELECT 1 FROM exchanges WHERE status = 429)
    OR EXISTS (SELECT 1 FROM operations WHERE status = 429)
-- ten orders waited more than a minute each to be booked
UNION ALL SELECT 'erp_backlog', (SELECT orders >= 10 FROM waits);
