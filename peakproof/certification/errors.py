"""What certification raises.

CertificationError            something that the user can mend: a test-data file, a waiver, an option
and within a run, never out of it:
Outcome                       how a probe ends other than by passing
├── PromiseBroken             the partner did what it must not do
├── CannotTell                what was seen proves nothing
└── NotRun                    the probe could not be made at all
    └── BudgetSpent           no request is left of the stated budget
"""

from scenarios.errors import ScenarioError


class CertificationError(ScenarioError):
    """What can't be used as written, and what to do about it."""


class Outcome(Exception):
    """Ends a probe; the message is a sentence for the report."""


class PromiseBroken(Outcome):
    """The partner did what it must not do."""


class CannotTell(Outcome):
    """What was seen proves nothing."""


class NotRun(Outcome):
    """The probe could not be made; the message says what is missing."""


class BudgetSpent(NotRun):
    """No request is left of the budget."""
