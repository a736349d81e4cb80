"""Which licences the photos of an export carry, and which of them asks for most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from arboretum_metadata.vocab import LICENSES
from arboretum_tools.exporting.base import Source

#: Photos are counted under this when their licence is unknown or outside the vocabulary.
NOT_KNOWN = "not known"


def licenses(source: Source) -> dict[str, int]:
    """Photos by licence, most open first, those without a known one last."""
    counts: Counter[str] = Counter()
    for details in source.details.values():
        for name, count in details.licenses.items():
            counts[name if name is not None and name in LICENSES else NOT_KNOWN] += count
    return {name: counts[name] for name in (*LICENSES, NOT_KNOWN) if counts[name]}


def least_open(counted: Mapping[str, int]) -> str | None:
    """The most restrictive of the known licences that are counted; None where there is none.

    Openness is the order of `arboretum_metadata.vocab.LICENSES`.
    """
    order = list(LICENSES)
    return max((name for name in counted if name in LICENSES), key=order.index, default=None)
