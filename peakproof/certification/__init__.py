"""Certification: is this partner fit to be onboarded? Asked over HTTP alone, within a stated budget.

`run.certify` makes the probes and judges the exchanges; `verdict` scores them; `learned` writes what was seen of the
partner's manners as a simulator profile. Errors are in `errors`.
"""
