"""Catalogues: opening them, asking them, selecting from them."""

from arboretum_tools.catalog.catalog import Catalog, open_catalog
from arboretum_tools.catalog.explanation import Explanation
from arboretum_tools.catalog.layouts.raw import Defects
from arboretum_tools.catalog.layouts.relations import Relations
from arboretum_tools.catalog.selection import Selection

__all__ = ["Catalog", "Defects", "Explanation", "Relations", "Selection", "open_catalog"]
