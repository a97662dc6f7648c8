-- name: nothing_lost
-- holds when: for each accepted line, shipped + cancelled + short + still waiting as a backorder = ordered, and short
--   is covered by a partner's booking
-- requires: operations, ledger, final
-- needs quiet: or still
--
-- Shipped is what the warehouses booked. Cancelled, short and waiting are what the order says at the end; the part of
-- them that had been confirmed must be covered: by a short pick, a refusal or a cancellation in a partner's books, or
-- by a cancellation that the client asked for and was not refused, no further than it was asked. A backorder waits
-- uncovered: it was never confirmed. Where a node shipped what it had booked as cancelled or short, its two words count
-- once: by so much more may be accounted for than was ordered. Where quiet never came, yet no partner has booked
-- anything for longer than any backoff, poll, wave or departure lasts, what is still open is lost: nobody will ship it.

-- examined
SELECT p.intent, p.line_no
FROM promises AS p
WHERE NOT (SELECT reads_partial FROM moments) OR p.intent IN (SELECT intent FROM final_orders);

-- counterexamples
WITH shipped AS (
    SELECT intent, line_no, -sum(quantity) AS quantity FROM books WHERE kind = 'shipped' GROUP BY intent, line_no
),
cover AS (
    SELECT
        intent, line_no,
        coalesce(sum(abs(quantity)) FILTER (WHERE kind <> 'release_cancelled'), 0) AS missing,
        coalesce(sum(abs(quantity)) FILTER (WHERE kind = 'release_cancelled'), 0) AS cancelled
    FROM books WHERE kind IN ('short', 'release_rejected', 'release_cancelled')
    GROUP BY intent, line_no
),
cancel_asked AS (
    SELECT intent, line_no, sum(quantity) AS quantity
    FROM (
        SELECT intent, l.line_no, l.quantity
        FROM (SELECT intent, unnest(lines) AS l FROM cancels WHERE NOT refused AND coalesce(len(lines), 0) > 0)
        UNION ALL
        SELECT p.intent, p.line_no, p.ordered
        FROM promises AS p
        SEMI JOIN (SELECT intent FROM cancels WHERE NOT refused AND coalesce(len(lines), 0) = 0) AS c
            ON c.intent = p.intent
    )
    GROUP BY intent, line_no
),
contradicted AS (
    SELECT intent, line_no, sum(greatest(shipped + ended - released, 0)) AS quantity
    FROM (
        SELECT
            intent, line_no,
            coalesce(sum(quantity) FILTER (WHERE kind = 'release_accepted'), 0) AS released,
            coalesce(-sum(quantity) FILTER (WHERE kind = 'shipped'), 0) AS shipped,
            coalesce(sum(abs(quantity)) FILTER (WHERE kind IN ('short', 'release_cancelled')), 0) AS ended
        FROM books
        WHERE kind IN ('release_accepted', 'shipped', 'short', 'release_cancelled') AND intent IS NOT NULL
        GROUP BY intent, line_no, partner, business_key
    )
    WHERE released > 0 AND shipped <= released AND ended <= released
    GROUP BY intent, line_no
),
lines AS (
    SELECT
        p.intent, p.line_no, p.sku, p.confirmed, p.backordered,
        coalesce(a.quantity, p.ordered) AS ordered, p.ordered AS answered,
        coalesce(s.quantity, 0) AS shipped,
        coalesce(f.cancelled, 0) AS cancelled, coalesce(f.short, 0) AS short, coalesce(f.backordered, 0) AS waiting,
        -- what a node gave back because the client asked is the same units
        coalesce(c.missing, 0)
            + greatest(coalesce(c.cancelled, 0), least(coalesce(k.quantity, 0), p.ordered)) AS covered,
        coalesce(d.quantity, 0) AS contradicted,
        o.intent IS NOT NULL AND coalesce(o.status IN (200, 404), FALSE) AS was_read,
        f.intent IS NOT NULL AS exists_still
    FROM promises AS p
    LEFT JOIN asked AS a ON a.intent = p.intent AND a.line_no = p.line_no
    LEFT JOIN shipped AS s ON s.intent = p.intent AND s.line_no = p.line_no
    LEFT JOIN cover AS c ON c.intent = p.intent AND c.line_no = p.line_no
    LEFT JOIN cancel_asked AS k ON k.intent = p.intent AND k.line_no = p.line_no
    LEFT JOIN contradicted AS d ON d.intent = p.intent AND d.line_no = p.line_no
    LEFT JOIN final_orders AS o ON o.intent = p.intent
    LEFT JOIN final_lines AS f ON f.intent = p.intent AND f.line_no = p.line_no
),
judged AS (
    SELECT
        *,
        CASE
            WHEN NOT was_read THEN 'not_read'
            WHEN NOT exists_still THEN 'gone'
            WHEN answered <> ordered THEN 'misread'
            WHEN shipped + cancelled + short + waiting NOT BETWEEN ordered AND ordered + contradicted
            THEN 'unaccounted'
            WHEN short + waiting + cancelled > backordered + covered THEN 'uncovered'
        END AS kind
    FROM lines
    WHERE was_read OR NOT (SELECT reads_partial FROM moments)
)
SELECT
    j.kind, i.first_ok_us AS at_us,
    CASE WHEN j.kind = 'uncovered' THEN j.short + j.waiting + j.cancelled - j.backordered - j.covered
        ELSE abs(j.ordered - j.shipped - j.cancelled - j.short - j.waiting) END::BIGINT AS badness,
    i.customer_id, i.order_reference, j.line_no, j.sku, j.ordered, j.shipped::BIGINT AS shipped, j.cancelled, j.short,
    j.waiting, j.covered::BIGINT AS covered
FROM judged AS j
JOIN intents AS i USING (intent)
WHERE j.kind IS NOT NULL
