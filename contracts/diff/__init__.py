"""What changed between two states of the contracts, and whom it breaks.

    tree.py     one state: the files of `contracts/` at a revision or in a directory, parsed on demand
    schema.py   two schemas in, differences out: where, which keyword, narrower or wider
    rules.py    the table: which difference breaks in which direction, and how it is said
    openapi.py  two OpenAPI documents in, changes out
    events.py   the same for event schemas
    problems.py the same for the meaning of problems
    pacts.py    who sends and reads what, from the Pact files
    bearing.py  what a change has to do with an interaction
    compare.py  two trees in, verdicts out

Everything here is pure: no git, no files, no clock. `peakproof contracts diff` is the command over it.
"""
