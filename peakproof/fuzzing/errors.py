"""What fuzzing raises.

FuzzError       something that the user can mend: an option, a document, an address
"""

from scenarios.errors import ScenarioError

MISSING = 'Schemathesis is not installed: pip install "peakproof[contracts]"'


class FuzzError(ScenarioError):
    """An option, document or address that can't be used; the message shows it and says what to do."""
