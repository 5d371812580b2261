"""Tellers that fall ill at their thirteenth story: the crowd must get on without them."""

import os

from tests.simulation.story import Ending


def dying(seed: int, profile: str) -> Ending:
    if seed == 13:
        os._exit(3)
    return _healthy(seed, profile)


def hanging(seed: int, profile: str) -> Ending:
    while seed == 13:
        pass
    return _healthy(seed, profile)


def _healthy(seed: int, profile: str) -> Ending:
    return Ending(seed, profile, violation="", steps=1)
