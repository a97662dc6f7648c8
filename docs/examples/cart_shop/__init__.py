"""A shop in Node with an API of its own, and the adapter by which Peakproof speaks it."""
