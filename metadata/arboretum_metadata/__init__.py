"""What the metadata mean: columns, vocabularies and the bundled sample. Data and definitions only.

This package imports nothing of ours, so that anything (a notebook, a build script, another tool) may
read the definitions without pulling in the library.
"""

from arboretum_metadata.schema import TABLES, Column, Table
from arboretum_metadata.vocab import GROUPS, LICENSES, LIFE_STAGES, RANKS, Group, License, LifeStage, Rank

__all__ = [
    "GROUPS",
    "LICENSES",
    "LIFE_STAGES",
    "RANKS",
    "TABLES",
    "Column",
    "Group",
    "License",
    "LifeStage",
    "Rank",
    "Table",
]
