"""Shot bands: how many train photos make a class many-, medium- or few-shot.

The bounds are those of open long-tailed recognition (Liu et al. 2019, arXiv 1904.05160) and stand in
`arboretum_metadata.vocab`; both ends of the medium band belong to it.
"""

from __future__ import annotations

from typing import Literal

from arboretum_metadata.vocab import FEW_BELOW, MANY_ABOVE

Band = Literal["many", "medium", "few"]

#: From the head of the distribution to its tail.
BANDS: tuple[Band, ...] = ("many", "medium", "few")


def shot_band(n_train: int) -> Band:
    """The band of a class with `n_train` train photos: many > 100, medium 20 to 100, few < 20."""
    if n_train > MANY_ABOVE:
        return "many"
    return "few" if n_train < FEW_BELOW else "medium"
