"""Deterministic simulation: one seed is one story, played by the code of production on a world that misbehaves."""
