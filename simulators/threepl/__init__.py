"""A third-party logistics provider: accepts later, works in batches, and is asked instead of telling."""
