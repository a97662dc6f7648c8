-- name: causality
-- holds when: on the harness clock each step comes after the one before it, what a client sees never moves backwards,
--   and after an acknowledged cancel nothing of it ships
-- requires: operations, ledger, exchanges, final, facts
-- needs quiet: no
--
-- Only attempts that do not overlap are compared: the earlier one was answered before the later one was sent. A
-- replayed answer tells the past and is never taken for the later of the two. Tracking is judged when quiet, for
-- orders all of whose scans were delivered: what is seen must be no older than the carrier's last scan that is older
-- than F.

-- examined
SELECT DISTINCT intent FROM books WHERE intent IS NOT NULL
UNION
SELECT intent FROM intents WHERE first_ok_us IS NOT NULL;

-- counterexamples
WITH status_rank AS (
    SELECT unnest(['on_hold', 'accepted', 'booked', 'released', 'partially_shipped', 'shipped', 'invoiced', 'cancelled',
        'closed']) AS status, unnest([0, 1, 2, 3, 4, 5, 6, 7, 7]) AS rank
),
views AS (
    SELECT
        o.order_id, o.customer_id, o.order_reference, o.invoked_at_us, o.completed_at_us, o.order_version AS version,
        o.order_status AS status, r.rank, o.operation = 'place_order' AS may_be_replayed
    FROM (
        SELECT
            order_id, customer_id, order_reference, invoked_at_us, completed_at_us, order_version, order_status,
            operation
        FROM operations
        WHERE outcome = 'ok' AND operation IN ('place_order', 'read_order') AND order_id IS NOT NULL
        UNION ALL
        SELECT order_id, customer_id, order_reference, at_us, at_us, order_version, order_status, 'read_order'
        FROM final WHERE read = 'order' AND status = 200 AND order_id IS NOT NULL
    ) AS o
    LEFT JOIN status_rank AS r ON r.status = o.order_status
),
seen AS (
    SELECT
        order_id, completed_at_us,
        max(max(version)) OVER so_far AS version, max(max(rank)) OVER so_far AS rank,
        arg_max(arg_max(status, rank), max(rank)) OVER so_far AS status
    FROM views
    GROUP BY order_id, completed_at_us
    WINDOW so_far AS (PARTITION BY order_id ORDER BY completed_at_us ROWS UNBOUNDED PRECEDING)
),
backwards AS (
    SELECT
        CASE WHEN v.rank < s.rank THEN 'status_backwards' ELSE 'version_backwards' END AS kind,
        v.completed_at_us AS at_us, greatest(s.rank - v.rank, s.version - v.version) AS badness,
        v.customer_id, v.order_reference, v.order_id AS subject,
        format('{} version {} after {} version {}', v.status, v.version, s.status, s.version) AS detail
    FROM (SELECT * FROM views WHERE NOT may_be_replayed) AS v
    ASOF JOIN seen AS s ON s.order_id = v.order_id AND v.invoked_at_us >= s.completed_at_us
    WHERE v.rank < s.rank OR v.version < s.version
),
releases AS (
    SELECT partner, business_key, line_no, intent, min(at_us) AS at_us
    FROM books WHERE kind = 'release_accepted'
    GROUP BY partner, business_key, line_no, intent
),
shipments AS (
    SELECT
        customer_id, order_reference, shipment_id, line_no,
        min(at_us) FILTER (WHERE kind = 'shipped') AS shipped_us,
        min(at_us) FILTER (WHERE kind = 'shipment_confirmed') AS confirmed_us,
        min(at_us) FILTER (WHERE kind = 'invoiced') AS invoiced_us
    FROM books
    WHERE kind IN ('shipped', 'shipment_confirmed', 'invoiced')
    GROUP BY customer_id, order_reference, shipment_id, line_no
),
out_of_order AS (
    SELECT 'released_before_ordered' AS kind, min(r.at_us) AS at_us, max(i.first_invoked_us - r.at_us) AS badness,
        i.customer_id, i.order_reference, r.business_key AS subject, r.partner AS detail
    FROM releases AS r JOIN intents AS i USING (intent)
    WHERE r.at_us < i.first_invoked_us
    GROUP BY ALL
    UNION ALL
    SELECT CASE WHEN r.at_us IS NULL THEN 'shipped_unreleased' ELSE 'shipped_before_released' END,
        min(s.at_us), max(coalesce(r.at_us - s.at_us, 0)), s.customer_id, s.order_reference, s.business_key, s.partner
    FROM (SELECT * FROM books WHERE kind = 'shipped') AS s
    LEFT JOIN releases AS r
        ON r.partner = s.partner AND r.business_key = s.business_key AND r.line_no = s.line_no
    WHERE r.at_us IS NULL OR r.at_us > s.at_us
    GROUP BY ALL
    UNION ALL
    SELECT CASE WHEN shipped_us IS NULL THEN 'confirmed_unshipped' ELSE 'confirmed_before_shipped' END,
        min(confirmed_us), max(coalesce(shipped_us - confirmed_us, 0)), customer_id, order_reference, shipment_id, ''
    FROM shipments WHERE confirmed_us IS NOT NULL AND (shipped_us IS NULL OR shipped_us > confirmed_us)
    GROUP BY ALL
    UNION ALL
    SELECT CASE WHEN confirmed_us IS NULL THEN 'invoiced_unconfirmed' ELSE 'invoiced_before_confirmed' END,
        min(invoiced_us), max(coalesce(confirmed_us - invoiced_us, 0)), customer_id, order_reference, shipment_id, ''
    FROM shipments WHERE invoiced_us IS NOT NULL AND (confirmed_us IS NULL OR confirmed_us > invoiced_us)
    GROUP BY ALL
),
cancelled AS (
    SELECT
        c.intent, c.line_no, p.sku, p.ordered, sum(c.quantity) AS quantity,
        bool_or(c.quantity IS NULL) AS everything, min(c.acknowledged_us) AS acknowledged_us
    FROM acknowledged_cancels AS c
    JOIN promises AS p ON p.intent = c.intent AND p.line_no = c.line_no
    GROUP BY c.intent, c.line_no, p.sku, p.ordered
),
shipped_all_the_same AS (
    SELECT
        c.intent, c.line_no, max(s.at_us) AS at_us,
        CASE WHEN any_value(c.everything)
            THEN coalesce(-sum(s.quantity) FILTER (WHERE s.at_us > c.acknowledged_us), 0)
            ELSE -sum(s.quantity) - any_value(c.ordered - c.quantity)
        END AS badness
    FROM cancelled AS c
    JOIN (SELECT * FROM books WHERE kind = 'shipped') AS s ON s.intent = c.intent AND s.line_no = c.line_no
    GROUP BY c.intent, c.line_no
),
scans AS (
    SELECT tracking_number, correlation_id, status, at_us,
        row_number() OVER (PARTITION BY tracking_number ORDER BY seq) AS position
    FROM ledger WHERE kind = 'scan'
),
delivered AS (
    SELECT correlation_id, count(DISTINCT key) AS messages
    FROM exchanges
    WHERE event_type = 'tracking.updated' AND status BETWEEN 200 AND 299
    GROUP BY correlation_id
),
told AS (
    SELECT s.correlation_id
    FROM scans AS s
    LEFT JOIN delivered AS d USING (correlation_id)
    GROUP BY s.correlation_id, d.messages
    HAVING coalesce(d.messages, 0) >= count(*)
),
shown AS (
    SELECT intent, at_us, customer_id, order_reference, p.tracking_number, p.tracking_status
    FROM (
        SELECT *, unnest(parcels) AS p FROM final_orders
        WHERE status = 200 AND (SELECT quiet_us FROM moments) IS NOT NULL
    )
),
stale AS (
    SELECT
        'tracking_stale' AS kind, f.at_us, max(s.position) FILTER (WHERE s.at_us <= f.at_us - slack.us) AS expected,
        max(s.position) FILTER (WHERE s.status = f.tracking_status) AS got,
        f.customer_id, f.order_reference, f.tracking_number, f.tracking_status,
        arg_max(s.status, s.position) FILTER (WHERE s.at_us <= f.at_us - slack.us) AS last_status
    FROM shown AS f
    JOIN scans AS s ON s.tracking_number = f.tracking_number AND s.at_us <= f.at_us
    CROSS JOIN (SELECT coalesce(max(value), 0) AS us FROM facts WHERE fact = 'freshness_us') AS slack
    WHERE s.correlation_id IN (SELECT correlation_id FROM told)
    GROUP BY f.at_us, f.customer_id, f.order_reference, f.tracking_number, f.tracking_status
)
SELECT kind, at_us, badness::BIGINT AS badness, customer_id, order_reference, subject, detail FROM backwards
UNION ALL
SELECT kind, at_us, badness, customer_id, order_reference, subject, detail FROM out_of_order
UNION ALL
SELECT 'shipped_after_cancel', s.at_us, s.badness::BIGINT, i.customer_id, i.order_reference, s.line_no::VARCHAR, 'line'
FROM shipped_all_the_same AS s JOIN intents AS i USING (intent)
WHERE s.badness > 0
UNION ALL
SELECT kind, at_us, expected - coalesce(got, 0), customer_id, order_reference, tracking_number,
    format('shows {}, the carrier''s last scan is {}', coalesce(tracking_status, 'nothing'), last_status)
FROM stale
WHERE expected > coalesce(got, 0)
