"""What holds for every test."""

from hypothesis import settings

# How fast a machine is tells nothing about whether a law holds.
settings.register_profile("laws", deadline=None)
settings.load_profile("laws")
