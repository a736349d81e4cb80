"""The test kit: an origin server that draws photos and misbehaves on command.

Used by the project's own tests, by `arboretum demo`, and by anyone who tests code against the toolkit
without the internet. Nothing else in the library imports it.
"""

from arboretum_tools.testing.faults import Fault
from arboretum_tools.testing.origin import Origin, Request

__all__ = ["Fault", "Origin", "Request"]
