"""Exit codes, one meaning each. CI jobs depend on them: docs and tests hold them fixed."""

HOLDS = 0
VIOLATED = 1
USAGE = 2
BROKEN = 3
INCONCLUSIVE = 4
INTERRUPTED = 130
"""As shells report an end by Ctrl-C."""
THRESHOLDS = 99
