"""Long-tailed splits: the recipe, the files, and three rooms: `drawing`, `audit`, `rebalancing`.

`make` is not imported here: reading a split should not load the database that making one needs.
"""

from arboretum_tools.split.files.manifest import Split, open_split
from arboretum_tools.split.recipes.recipe import SplitRecipe

__all__ = ["Split", "SplitRecipe", "open_split"]
