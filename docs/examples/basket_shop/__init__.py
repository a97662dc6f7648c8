"""The corner shop behind another API, in real time, and the adapter by which Peakproof speaks it."""
