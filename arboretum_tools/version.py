"""The toolkit's version, as it is stamped into everything that is written."""

from importlib.metadata import version

__version__ = version("arboretum-tools")
