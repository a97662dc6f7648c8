"""Fuzzing: requests of every kind, sensible and not, at an API that is held to its OpenAPI document.

Schemathesis makes the requests. Each goes through a `Door`, which sends it to a target, judges the exchange by promises
of our own beside Schemathesis's checks, and counts which operation answered with which status. What no random request
reaches (quotas, outages, two attempts at once) is driven by scripted steps.
"""
