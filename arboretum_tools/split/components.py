"""Connected components: which groups of photos are one, as they show the same."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeAlias, TypeVar

import pyarrow as pa

_Node = TypeVar("_Node", bound=Hashable)

#: Class (None where a group is one of all classes), whether the photo is alone, and the number of the group.
Group: TypeAlias = tuple[str | None, bool, int]


def components(pairs: Iterable[tuple[_Node, _Node]]) -> dict[_Node, list[_Node]]:
    """The connected components of some pairs, by each of their members."""
    of: dict[_Node, list[_Node]] = {}
    for one, other in pairs:
        first, second = of.setdefault(one, [one]), of.setdefault(other, [other])
        if first is not second:
            small, large = sorted((first, second), key=len)
            large += small
            of.update(dict.fromkeys(small, large))
    return of


def joined_groups(pairs: pa.Table | None, *, by_class: bool) -> dict[Group, Group]:
    """What stands for each group that is joined with another one: the smallest of them, by (alone, number).

    Args:
        pairs: the columns of `arboretum_metadata.schema.JOINED`, as a split has them.
        by_class: whether groups are those of one class, as observers are.
    """
    together: list[tuple[Group, Group]] = []
    for row in [] if pairs is None else pairs.to_pylist():
        if not row["left_out"]:
            own, other = (row["class_key"], row["other_class_key"]) if by_class else (None, None)
            one = (own, bool(row["alone"]), int(row["group"]))
            together.append((one, (other, bool(row["other_alone"]), int(row["other_group"]))))
    found = components(together)
    return {group: min(members, key=lambda one: one[1:]) for group, members in found.items()}
