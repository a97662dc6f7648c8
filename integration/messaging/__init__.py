"""Reliable messages: outbox, lanes, inbox, retry policy, circuit breaker, rate budget and dead letters."""
