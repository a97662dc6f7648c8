"""The trading partners, and the world that they live in."""
