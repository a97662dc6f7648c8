"""The scenario's crowd over real HTTP, on Locust: `peakproof load` starts it, and is the way to use it."""
