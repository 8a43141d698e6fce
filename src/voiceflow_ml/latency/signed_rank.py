"""The Wilcoxon signed-rank interval of a centre of symmetry, exact and without a statistics library.

It assumes one thing: that the values scatter symmetrically around their centre. How widely, and whether
equally widely, does not matter, so one wild value weighs no more than its rank.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def cumulative_distribution(n: int) -> NDArray[np.float64]:
    """P(T <= t) for t = 0 ... n (n + 1) / 2, T being the sum of the ranks with a positive sign.

    Each of the ranks 1 ... n has a positive sign with probability 1/2 (Wilcoxon 1945), so the distribution
    is built by adding one rank after the other. All terms are positive: nothing cancels.

    Args:
        n: number of values, at least 1.

    Returns:
        Probabilities, shape ``[n (n + 1) / 2 + 1]``, ascending, the last one 1.
    """
    chance = np.zeros(n * (n + 1) // 2 + 1)
    chance[0] = 1.0
    for rank in range(1, n + 1):
        shifted = np.zeros_like(chance)
        shifted[rank:] = chance[:-rank]
        chance = (chance + shifted) / 2
    return np.cumsum(chance)


def centre_interval(values: NDArray[np.float64], confidence: float) -> tuple[float | None, float, float | None]:
    """Lower end, estimate and upper end of the centre of symmetry.

    The estimate is the median of all averages of two values, each with itself included (Hodges and Lehmann
    1963); the ends are the averages that the exact null distribution leaves on either side (Hollander, Wolfe
    and Chicken, Nonparametric Statistical Methods, section 3.3). Ties make the interval wider, never narrower.

    Args:
        values: finite numbers, shape ``[n]``, n >= 1, independent and symmetric around one centre.
        confidence: the chance that one end holds, 0 < confidence < 1; both hold with 2 confidence - 1.

    Returns:
        (low, estimate, high); the ends are None when even n equal signs are too likely by chance.
    """
    rows, columns = np.triu_indices(values.size)
    averages = np.sort((values[rows] + values[columns]) / 2)
    estimate = float(np.median(averages))
    cut = int(np.searchsorted(cumulative_distribution(values.size), 1 - confidence, side="right"))
    if cut == 0:
        return None, estimate, None
    return float(averages[cut - 1]), estimate, float(averages[-cut])
