"""A stand-in for Google Calendar over real HTTP, true to recorded behaviour and hostile on demand.

It knows nothing of the rest of this project, and nothing that is deployed imports it.
world.py and what it is made of (model, documents, series, occurrences, listing, channels, faults, errors, clock)
are pure and serve as oracle; acts.py is what people do to it; shapes, tokens and selector give it its looks; wire,
oauth, discovery, methods, routes, push, control and server put it on the network. For users: docs/simulator.md.
"""

from .model import Switches
from .server import Simulator
from .world import World

__all__ = ["Simulator", "Switches", "World"]
