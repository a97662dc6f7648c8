"""Benchmarks: speed as ratios within one run, never asserted as a time."""
