-- name: no_storm
-- holds when: calls under one key and route stay within the retry budget, nobody who was told to wait calls before it
--   is over, and after a fault that left a backlog throughput is back to its level within a bound
-- requires: operations, ledger, exchanges, faults, facts.retry_budget
-- needs quiet: no
--
-- Copies that the network made and calls that were turned away for their token (401, 403) do not count. Each crash,
-- pause or failed transaction of the caller may have kept one call from being counted: the budget grows by one for it.
-- Retry-After (429, 503) binds everything that the integration sends that partner on behalf of orders, and each
-- background poll by itself; what was already under way goes on, such as the order after the look-up that belongs to
-- it. A process that began anew cannot know of it, nor one of two that run together of what the other was told. Without
-- Retry-After the same call comes no sooner than the shortest wait. Throughput is bookings in the ERP, an hour before
-- the fault against the bound after its end, at half the level.

-- examined
SELECT DISTINCT e.source, e.target, e.key
FROM exchanges AS e
SEMI JOIN (SELECT text, subject FROM facts WHERE fact = 'retry_budget') AS b
    ON b.text = e.source AND b.subject = e.target
WHERE coalesce(e.key, '') <> '' AND e.copy = 0;

-- counterexamples
WITH budgets AS (
    SELECT text AS source, subject AS target, max(value) AS calls, max(value_to) AS pause_us
    FROM facts WHERE fact = 'retry_budget'
    GROUP BY text, subject
),
troubles AS (
    SELECT b.source, count(f.fault) AS times
    FROM (SELECT DISTINCT source FROM budgets) AS b
    LEFT JOIN (SELECT fault, target FROM faults WHERE NOT contains(target, '->')) AS f
        ON split_part(f.target, ' ', 1) = b.source
    GROUP BY b.source
),
restarts AS (
    SELECT from_us, coalesce(to_us, from_us) AS to_us
    FROM faults WHERE kind IN ('crash', 'pause', 'overlap') AND split_part(target, ' ', 1) = 'integration'
),
repeated AS (
    SELECT DISTINCT source, target, route, key FROM exchanges
    WHERE attempt > 1 AND copy = 0 AND coalesce(key, '') <> ''
),
attempts AS MATERIALIZED (
    SELECT
        e.source, e.target, e.route, e.key, e.correlation_id, e.sent_at_us, e.status, b.calls, b.pause_us,
        lag(e.completed_at_us) OVER by_key AS before_us, lag(e.status) OVER by_key AS status_before,
        lag(e.outcome) OVER by_key AS outcome_before
    FROM (SELECT * FROM exchanges WHERE copy = 0) AS e
    JOIN repeated AS r ON r.source = e.source AND r.target = e.target AND r.route = e.route AND r.key = e.key
    JOIN budgets AS b ON b.source = e.source AND b.target = e.target
    WINDOW by_key AS (PARTITION BY e.source, e.target, e.route, e.key ORDER BY e.sent_at_us, e.seq)
),
spent AS (
    SELECT
        a.source, a.target, a.route, a.key, any_value(a.correlation_id) AS correlation_id, max(a.sent_at_us) AS at_us,
        count(*) FILTER (WHERE coalesce(a.status, 0) NOT IN (401, 403)) AS happened,
        any_value(a.calls) + any_value(t.times) AS allowed
    FROM attempts AS a
    JOIN troubles AS t ON t.source = a.source
    GROUP BY a.source, a.target, a.route, a.key
),
hurried AS (
    SELECT
        source, target, route, key, correlation_id, sent_at_us AS at_us,
        pause_us - (sent_at_us - before_us) AS early_us
    FROM attempts AS a
    WHERE outcome_before = 'answered' AND status_before IN (429, 503) AND sent_at_us < before_us + pause_us
        AND NOT EXISTS (
            SELECT 1 FROM restarts AS r WHERE r.from_us <= a.sent_at_us AND r.to_us >= a.sent_at_us - 300_000_000
        )
),
sends AS MATERIALIZED (
    SELECT
        *,
        CASE
            WHEN coalesce(correlation_id, '') <> '' THEN '' ELSE method || ' ' || route || coalesce(event_type, '')
        END AS lane
    FROM exchanges
    WHERE source = 'integration' AND copy = 0
        AND target IN (SELECT target FROM exchanges WHERE retry_after_s > 0 AND status IN (429, 503))
),
-- Calls that follow each other at once on behalf of one order are one piece of work, unless the partner said no: two
-- parcels of an order may be worked on side by side.
pieces AS (
    SELECT
        *,
        max(CASE WHEN begins THEN sent_at_us END) OVER (
            PARTITION BY target, lane, correlation_id ORDER BY sent_at_us, seq ROWS UNBOUNDED PRECEDING
        ) AS begun_us
    FROM (
        SELECT
            s.*,
            s.lane <> ''
                OR coalesce(s.sent_at_us - b.completed_at_us > 10_000 * (SELECT speed FROM pace), TRUE) AS begins
        FROM sends AS s
        ASOF LEFT JOIN (
            SELECT target, lane, correlation_id, completed_at_us FROM sends
            WHERE outcome = 'answered' AND (status < 400 OR status IN (401, 403, 404, 409))
        ) AS b
            ON b.target = s.target AND b.lane = s.lane AND b.correlation_id = s.correlation_id
            AND s.sent_at_us >= b.completed_at_us
    )
),
told AS (
    SELECT
        target, lane, at_us, max(until_us) OVER so_far AS until_us, arg_max(at_us, until_us) OVER so_far AS told_us
    FROM (
        SELECT
            target, lane, completed_at_us AS at_us, max(completed_at_us + (retry_after_s * 1_000_000 * (SELECT speed FROM pace))::BIGINT) AS until_us
        FROM sends
        WHERE outcome = 'answered' AND status IN (429, 503) AND retry_after_s > 0
        GROUP BY target, lane, completed_at_us
    )
    WINDOW so_far AS (PARTITION BY target, lane ORDER BY at_us ROWS UNBOUNDED PRECEDING)
),
renewals AS (
    SELECT target, sent_at_us, completed_at_us FROM sends WHERE route LIKE '%/token'
),
impatient AS (
    SELECT
        p.source, p.target, p.route, p.key, p.correlation_id, p.sent_at_us AS at_us, t.told_us,
        t.until_us - p.sent_at_us AS early_us
    FROM pieces AS p
    ASOF JOIN told AS t ON t.target = p.target AND t.lane = p.lane AND p.sent_at_us >= t.at_us
    WHERE p.sent_at_us < t.until_us AND p.begun_us > t.told_us
        -- who waited for a token when the partner spoke had been let go before
        AND NOT EXISTS (
            SELECT 1 FROM renewals AS r
            WHERE r.target = p.target AND r.sent_at_us <= t.told_us AND r.completed_at_us >= t.told_us
                AND p.sent_at_us - r.completed_at_us BETWEEN 0 AND 10_000 * (SELECT speed FROM pace)
        )
        AND NOT EXISTS (SELECT 1 FROM restarts AS r WHERE r.from_us <= p.sent_at_us AND r.to_us >= t.told_us)
),
booked AS MATERIALIZED (
    SELECT i.intent, i.first_ok_us, b.at_us AS booked_us
    FROM intents AS i
    LEFT JOIN (SELECT intent, min(at_us) AS at_us FROM books WHERE kind = 'order_booked' GROUP BY intent) AS b
        ON b.intent = i.intent
    WHERE i.first_ok_us IS NOT NULL AND i.first_status IS DISTINCT FROM 'on_hold'
),
windows AS MATERIALIZED (
    SELECT fault, min(from_us) AS from_us, least(max(to_us), (SELECT healed_us FROM moments)) AS to_us
    FROM faults
    WHERE event = 'window' AND to_us IS NOT NULL
    GROUP BY fault
),
recoveries AS (
    SELECT w.fault, w.from_us, w.to_us, w.to_us + b.bound_us AS until_us, b.bound_us
    FROM windows AS w
    CROSS JOIN (SELECT max(value) AS bound_us FROM facts WHERE fact = 'recovery_bound_us') AS b
    -- with another fault in force nothing can be said
    WHERE w.to_us > w.from_us AND NOT EXISTS (
        SELECT 1 FROM windows AS o
        WHERE o.fault <> w.fault AND o.from_us < w.to_us + b.bound_us AND o.to_us > w.to_us
    )
),
flow AS (
    SELECT
        r.fault, r.to_us, r.until_us, r.bound_us,
        count(*) FILTER (WHERE o.booked_us > r.from_us - 3_600_000_000 AND o.booked_us <= r.from_us) AS level_per_hour,
        count(*) FILTER (WHERE o.first_ok_us <= r.to_us AND coalesce(o.booked_us, r.to_us + 1) > r.to_us) AS backlog,
        count(*) FILTER (WHERE o.booked_us > r.to_us AND o.booked_us <= r.until_us) AS done
    FROM recoveries AS r
    CROSS JOIN booked AS o
    GROUP BY r.fault, r.to_us, r.until_us, r.bound_us
),
slow AS (
    SELECT *, least(backlog, level_per_hour * bound_us // 7_200_000_000) AS due FROM flow
    WHERE backlog > 0 AND done < least(backlog, level_per_hour * bound_us // 7_200_000_000)
),
found AS (
    SELECT
        'over_budget' AS kind, at_us, happened - allowed AS badness, correlation_id, source, target, route, key,
        format('{} calls, {} allowed', happened, allowed) AS detail
    FROM spent WHERE happened > allowed
    UNION ALL
    SELECT
        'no_backoff', at_us, early_us, correlation_id, source, target, route, key, format('{} us too early', early_us)
    FROM hurried
    UNION ALL
    SELECT
        'told_to_wait', at_us, early_us, correlation_id, source, target, route, key, format('{} us too early', early_us)
    FROM impatient
    UNION ALL
    SELECT
        'not_recovered', until_us, due - done, NULL, 'integration', 'erp', NULL, NULL,
        format('{} of {} orders that waited when {} ended were booked, {} an hour before it', done, backlog, fault,
            level_per_hour)
    FROM slow
)
SELECT
    f.kind, f.at_us, f.badness::BIGINT AS badness, i.customer_id, i.order_reference,
    f.* EXCLUDE (kind, at_us, badness)
FROM found AS f
LEFT JOIN (
    SELECT correlation_id, any_value(customer_id) AS customer_id, any_value(order_reference) AS order_reference
    FROM operations WHERE operation = 'place_order' GROUP BY correlation_id
) AS i ON i.correlation_id = f.correlation_id
