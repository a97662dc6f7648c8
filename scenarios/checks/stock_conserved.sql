-- name: stock_conserved
-- holds when: at every entry of a node's books the balance is the one before plus the entry, and nothing is ever
--   below zero
-- requires: ledger
-- needs quiet: no
-- judges: simulators
--
-- This check judges the simulators: where it fails, the harness is broken and no other result can be believed.

-- examined
SELECT partner, location, sku FROM ledger WHERE balance IS NOT NULL;

-- counterexamples
WITH entries AS (
    SELECT
        partner, location, sku, kind, at_us, seq, quantity, balance, coalesce(held_balance, 0) AS held,
        coalesce(lag(balance) OVER bin, 0) AS before,
        coalesce(lag(held_balance) OVER bin, 0) AS held_before,
        CASE
            WHEN kind IN ('opening', 'receipt', 'returned') THEN abs(quantity)
            WHEN kind IN ('shipped', 'scrapped') THEN -abs(quantity)
            WHEN kind = 'adjustment' THEN quantity
            ELSE 0
        END AS moved,
        CASE kind WHEN 'hold' THEN quantity WHEN 'unhold' THEN -quantity END AS held_moved
    FROM ledger
    WHERE balance IS NOT NULL
    WINDOW bin AS (PARTITION BY partner, location, sku ORDER BY seq)
)
SELECT
    CASE
        WHEN balance < 0 OR held < 0 THEN 'negative'
        WHEN held > balance THEN 'more_held_than_there'
        WHEN balance <> before + moved THEN 'balance_wrong'
        ELSE 'held_wrong'
    END AS kind,
    at_us, abs(balance - before - moved) + abs(held - held_before - coalesce(held_moved, 0)) AS badness,
    partner, location, sku, kind AS entry, quantity, before, balance, held_before, held
FROM entries
WHERE balance < 0 OR held < 0 OR held > balance OR balance <> before + moved OR held <> held_before + held_moved
