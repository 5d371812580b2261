"""Adapters for one machine: a store and a queue in one SQLite file, for the demo, laptops and most tests."""
