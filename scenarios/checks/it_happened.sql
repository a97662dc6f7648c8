-- name: it_happened
-- holds when: everything that the scenario expects to be seen was seen
-- requires: operations, ledger, exchanges, faults, facts
-- needs quiet: no
--
-- An expectation is `fault:<id>`, that this fault struck, or `seen:<name>`. A scenario that expects nothing still has
-- to have seen an order: then the first one is what was examined.

-- examined
SELECT text FROM facts WHERE fact = 'expects'
UNION ALL
(
    SELECT order_reference FROM operations
    WHERE operation = 'place_order' AND NOT EXISTS (SELECT 1 FROM facts WHERE fact = 'expects')
    LIMIT 1
);

-- counterexamples
WITH expected AS (
    SELECT DISTINCT text, split_part(text, ':', 1) AS sort, substr(text, strpos(text, ':') + 1) AS name
    FROM facts WHERE fact = 'expects'
)
SELECT
    CASE WHEN e.sort <> 'fault' AND s.name IS NULL THEN 'unknown_name' ELSE 'not_seen' END AS kind,
    0::BIGINT AS at_us, 1 AS badness, e.text AS expected
FROM expected AS e
LEFT JOIN seen AS s ON e.sort = 'seen' AND s.name = e.name
WHERE NOT CASE
    WHEN e.sort = 'fault' THEN e.name IN (SELECT fault FROM faults WHERE event = 'strike')
    ELSE coalesce(s.was_seen, FALSE)
END
