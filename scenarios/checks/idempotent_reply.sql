-- name: idempotent_reply
-- holds when: a key makes at most one order, every ok answer for it is the same, and in-flight, reuse and duplicate
--   problems appear only where they are true
-- requires: operations
-- needs quiet: no
--
-- An attempt whose outcome is unknown stays open for ever: the server may still be working on it.

-- examined
SELECT DISTINCT operation, customer_id, key FROM operations
WHERE operation IN ('place_order', 'cancel_order') AND coalesce(key, '') <> '';

-- counterexamples
WITH attempts AS (
    SELECT
        row_number() OVER (ORDER BY invoked_at_us, seq) AS attempt_id,
        operation, channel, customer_id, order_reference, key, fingerprint, outcome, status, order_id,
        invoked_at_us, coalesce(completed_at_us, 9223372036854775807) AS completed_at_us,
        CASE WHEN outcome = 'info' OR completed_at_us IS NULL THEN 9223372036854775807 ELSE completed_at_us END
            AS closes_at_us,
        problem_key(problem) AS problem,
        md5(to_json([status::VARCHAR, order_id, order_status, order_version::VARCHAR, answer_lines::VARCHAR])::VARCHAR)
            AS answer
    FROM operations
    WHERE operation IN ('place_order', 'cancel_order') AND coalesce(key, '') <> ''
),
answers AS (
    SELECT
        operation, channel, customer_id, key,
        any_value(order_reference) AS order_reference,
        max(completed_at_us) AS at_us,
        count(DISTINCT order_id) AS orders,
        count(DISTINCT answer) AS answers,
        count(DISTINCT fingerprint) AS payloads
    FROM attempts
    WHERE outcome = 'ok'
    GROUP BY operation, channel, customer_id, key
),
problems AS (
    SELECT * FROM attempts
    WHERE problem IN ('request-in-flight', 'idempotency-key-reused', 'order-reference-used')
),
unfounded AS (
    SELECT p.attempt_id
    FROM problems AS p
    LEFT JOIN attempts AS o
        ON o.operation = p.operation AND o.channel = p.channel AND o.customer_id = p.customer_id
        AND o.key = p.key AND o.attempt_id <> p.attempt_id AND o.invoked_at_us < p.completed_at_us
    WHERE p.problem <> 'order-reference-used'
    GROUP BY p.attempt_id, p.problem, p.invoked_at_us, p.fingerprint
    HAVING NOT coalesce(
        CASE p.problem
            WHEN 'request-in-flight' THEN bool_or(o.closes_at_us > p.invoked_at_us)
            ELSE bool_or(o.fingerprint IS DISTINCT FROM p.fingerprint)
        END, FALSE
    )
    UNION ALL
    SELECT p.attempt_id
    FROM problems AS p
    LEFT JOIN attempts AS o
        ON o.operation = p.operation AND o.customer_id = p.customer_id AND o.order_reference = p.order_reference
        AND o.attempt_id <> p.attempt_id AND o.key <> p.key AND o.invoked_at_us < p.completed_at_us
    WHERE p.problem = 'order-reference-used'
    GROUP BY p.attempt_id
    HAVING NOT coalesce(bool_or(o.outcome <> 'fail'), FALSE)
)
SELECT
    CASE
        WHEN orders > 1 THEN 'two_orders' WHEN payloads > 1 THEN 'other_payload_replayed' ELSE 'answers_differ'
    END AS kind,
    at_us, greatest(orders, payloads, answers) AS badness, operation, customer_id, order_reference, key,
    NULL AS problem
FROM answers
WHERE orders > 1 OR answers > 1 OR payloads > 1
UNION ALL
SELECT
    'unfounded_problem', completed_at_us, 1, operation, customer_id, order_reference, key, problem
FROM attempts
WHERE attempt_id IN (SELECT attempt_id FROM unfounded)
