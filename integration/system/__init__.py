"""One client per partner: the consumer side of each contract."""
