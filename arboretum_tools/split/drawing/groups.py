"""Groups of photos that belong into one part of a split together: of one observation, or of one observer."""

from __future__ import annotations

from arboretum_tools.catalog import Selection

# The column that says which group a photo is in.
_COLUMN = {"observation": "observation_id", "observer-per-species": "observer_id"}


def resolve_group_by(selection: Selection, group_by: str) -> str:
    """What `auto` means for this selection; anything else is returned as it is.

    It is observation where any selected photo has one: those without are groups of their own.

    Raises:
        SelectionError: observations or observers are asked for and the catalogue has none; says which join
            brings them.
    """
    if group_by in _COLUMN:
        selection.catalog.require(_COLUMN[group_by])
    if group_by != "auto":
        return group_by
    if not selection.catalog.has("observation_id"):
        return "photo"
    relation, known = selection.tally("observation_id")
    found = selection.explanation
    ((photos,),) = selection.catalog.rows(
        f"SELECT {known} FROM {selection.source(relation)} WHERE {found.condition}", found.parameters
    )
    return "observation" if photos else "photo"


def group_sql(group_by: str) -> tuple[str, str]:
    """SQL of a photo's group: its kind and its id.

    A photo without an observation (or observer) is a group of its own (kind 1, its photo_id), told apart
    from an observation of the same number (kind 0). Groups are held out class by class, so grouping by
    observer keeps a person's photos of one species together, and not those of all species: the rule of
    iNaturalist's own vision models.
    """
    if group_by == "photo":
        return "0", "photo_id"
    column = _COLUMN[group_by]
    return f"CASE WHEN {column} IS NULL THEN 1 ELSE 0 END", f"coalesce({column}, photo_id)"
