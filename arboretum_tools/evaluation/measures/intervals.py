"""Intervals that are true where photos of one observation resemble each other.

Photos of one observation are right or wrong together: they count as one draw and not as several.

1. Every measure is a function of the photos, and z_i is what photo i adds to it: hit / n for a share, hit /
   (C n_c) for a mean over classes, the derivative for F1. Of class c with n_c photos, the sum of z over a
   group u of m_u photos is compared with what the class makes of m_u photos: r_u = (sum of z in u) - m_u *
   (sum of z in c) / n_c. The variance is the sum of k_c * r_u ** 2 with k_c = S2 / (S2 - 2 S3 / n_c + S2 **
   2 / n_c ** 2), S2 and S3 the sums of m_u ** 2 and m_u ** 3, which makes it unbiased where the photos of a
   group are all alike; for groups of one size k_c is g / (g - 1). This is the variance of a bootstrap over
   groups within classes (Rao and Wu 1988, JASA 83, 231-241) with infinitely many draws, linearized (Binder
   1983, International Statistical Review 51, 279-292): no random number is drawn. A class that is one group
   is centered at the mean over all photos, as by `lonely.psu = "adjust"` of R's `survey`, which errs on the
   wide side.
2. The interval is Wilson's at the effective sample size value * (1 - value) / variance, with Student's
   quantile at groups - classes degrees of freedom (Korn and Graubard 1998, Survey Methodology 24, 193-201;
   Dean and Pagano 2015, Journal of Survey Statistics and Methodology 3, 484-503). It stays within 0 and 1,
   and has a width where every photo is right: there it is Wilson's over as many draws as there are groups.

It says what other photos of the same classes would come to. Means over classes have a second interval, for
other classes as well: the same formula with the variance between classes and C - 1 degrees of freedom.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

#: Over fewer classes an interval for other classes means little.
FEW_CLASSES = 10

# Of the normal distribution, for 95 %.
_Z = 1.959963984540054

# Above so many degrees of freedom two terms of the expansion in 1 / freedom say as much as the integral.
_MANY, _STEPS = 5_000, 20_001


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share or mean with its 95 % intervals.

    Attributes:
        value: from 0 to 1; None where nothing decides it.
        low: lower end of the interval for other photos of the same classes.
        high: upper end of it.
        n: what it is a mean over: photos, or classes.
        over_classes: the interval for other classes as well; None but for means over two classes or more.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    over_classes: tuple[float, float] | None = None


#: Where nothing decides a value.
UNDECIDED = Estimate(None, None, None, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """The photos that were predicted, and which of them are one draw.

    Attributes:
        labels: int64, shape (photos,): the class of each photo.
        groups: int64, shape (photos,), 0 to G-1: photos of one group are one draw; a group lies in one class.
    """

    labels: NDArray[np.int64]
    groups: NDArray[np.int64]

    @classmethod
    def of(cls, labels: NDArray[np.int64], *ids: NDArray[np.int64]) -> Sample:
        """The sample in which photos of one class with equal ids are one group.

        Args:
            labels: the class of each photo.
            ids: what tells groups apart within a class, each of shape (photos,).

        >>> Sample.of(np.array([0, 0, 0, 1]), np.array([7, 7, 8, 7])).groups.tolist()
        [0, 0, 1, 2]
        """
        _, groups = np.unique(np.stack([labels, *ids]), axis=1, return_inverse=True)
        return cls(labels, groups.reshape(-1).astype(np.int64))

    @property
    def num_groups(self) -> int:
        """G, the number of draws."""
        return int(self.groups.max()) + 1

    def within(self, inside: NDArray[np.bool_]) -> Sample:
        """The sample of some of the photos."""
        _, groups = np.unique(self.groups[inside], return_inverse=True)
        return Sample(self.labels[inside], groups.reshape(-1).astype(np.int64))

    def share(self, hits: NDArray[np.bool_]) -> Estimate:
        """The share of hits among the photos.

        Args:
            hits: shape (photos,).

        >>> Sample.of(np.array([0, 0, 0, 1]), np.arange(4)).share(np.array([True, True, False, True])).value
        0.75
        """
        n = len(hits)
        if not n:
            return UNDECIDED
        value = float(np.count_nonzero(hits)) / n
        return Estimate(value, *self.interval(value, hits / n), n)

    def class_mean(self, hits: NDArray[np.bool_]) -> Estimate:
        """The mean over classes of their shares of hits; classes without photos are in no mean.

        Args:
            hits: shape (photos,).

        >>> sample = Sample.of(np.array([0, 0, 1, 1]), np.arange(4))
        >>> sample.class_mean(np.array([True, True, True, False])).value
        0.75
        """
        if not len(hits):
            return UNDECIDED
        photos = np.bincount(self.labels)
        shares = np.bincount(self.labels, weights=hits)[photos > 0] / photos[photos > 0]
        return self.mean_of_classes(shares, hits / (len(shares) * photos[self.labels]))

    def mean_of_classes(self, values: NDArray[np.float64], influence: NDArray[np.float64]) -> Estimate:
        """The mean of one value a class.

        Args:
            values: shape (classes with photos,).
            influence: shape (photos,): what each photo adds to the mean.
        """
        n = len(values)
        value = math.fsum(values) / n
        other = None
        if n > 1:
            variance = math.fsum((values - value) ** 2) / (n - 1) / n
            other = score_interval(value, variance, n, n - 1)
        return Estimate(value, *self.interval(value, influence), n, other)

    def interval(self, value: float, influence: NDArray[np.float64]) -> tuple[float, float]:
        """The 95 % interval of a measure from 0 to 1, for other photos of the same classes.

        Args:
            value: the measure.
            influence: shape (photos,): what each photo adds to it.
        """
        variance, freedom = self.variance(influence)
        return score_interval(value, variance, self.num_groups, freedom)

    def variance(self, influence: NDArray[np.float64]) -> tuple[float, int]:
        """The variance of a sum over photos, of which whole groups were drawn within classes.

        Args:
            influence: shape (photos,): what each photo adds.

        Returns:
            The variance and its degrees of freedom, 1 or more.
        """
        sizes = np.bincount(self.groups)
        owner = np.empty(len(sizes), dtype=np.int64)
        owner[self.groups] = self.labels
        photos = np.bincount(self.labels)
        groups = np.bincount(owner, minlength=len(photos))
        alone = groups[owner] == 1
        totals = np.bincount(self.labels, weights=influence)
        center = np.where(alone, totals.sum() / len(influence), totals[owner] / photos[owner])
        residuals = np.bincount(self.groups, weights=influence) - sizes * center
        by_class = np.bincount(owner, weights=residuals**2)
        several = groups > 1
        second, third = (np.bincount(owner, weights=sizes**power)[several] for power in (2.0, 3.0))
        n = photos[several]
        factors = np.ones(len(photos))
        factors[several] = second / (second - 2 * third / n + second**2 / n**2)
        lone = int(np.count_nonzero(groups == 1))
        freedom = int((groups[several] - 1).sum()) + max(lone - 1, 0)
        return math.fsum(by_class * factors), max(freedom, 1)


def score_interval(value: float, variance: float, units: int, freedom: int) -> tuple[float, float]:
    """Wilson's interval (1927) at the effective sample size value * (1 - value) / variance.

    Args:
        value: from 0 to 1.
        variance: of the value.
        units: groups or classes that it is made of.
        freedom: degrees of freedom of the variance, 1 or more.
    """
    value = min(max(value, 0.0), 1.0)
    bound = value * (1 - value)
    if bound > 0:
        # A variance below that of half a unit that changes sides is one that the sample is too small to show.
        n, t = bound / max(variance, 1 / (4 * units**2)), student_quantile(freedom)
    else:
        # All right or all wrong: the sample says nothing of the variance, so it is that of as many draws.
        n, t = float(units), _Z
    middle = (value + t**2 / (2 * n)) / (1 + t**2 / n)
    half = t * math.sqrt(bound / n + t**2 / (4 * n**2)) / (1 + t**2 / n)
    return max(0.0, min(value, middle - half)), min(1.0, max(value, middle + half))


@cache
def student_quantile(freedom: int) -> float:
    """The 97.5 % quantile of Student's t, to five digits.

    With t = sqrt(freedom) * tan(angle) its density is cos(angle) ** (freedom - 1), which is integrated here.

    Args:
        freedom: degrees of freedom, 1 or more.

    >>> round(student_quantile(1), 3), round(student_quantile(9), 3), round(student_quantile(10**9), 3)
    (12.706, 2.262, 1.96)
    """
    if freedom > _MANY:
        return _Z * (1 + (_Z**2 + 1) / (4 * freedom))
    angles = np.linspace(0, np.pi / 2, _STEPS)
    density = np.cos(angles) ** (freedom - 1)
    area = np.concatenate([[0], np.cumsum(density[1:] + density[:-1])])
    return math.sqrt(freedom) * math.tan(float(np.interp(0.95 * area[-1], area, angles)))
