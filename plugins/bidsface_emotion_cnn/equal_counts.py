"""Draws with equally many samples of every class.

The mean of few samples has more noise than that of many, and a mean over all samples that is taken
away holds more of the larger classes. So noise alone makes dissimilarities of classes depend on
their numbers of samples, in the same way in everyone; with equal numbers it does not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.seeds import child_seed

Indices = NDArray[np.int64]


def equal_draws(
    codes: Indices,
    blocks: Indices,
    n_draws: int,
    seed: np.random.SeedSequence,
    *,
    in_blocks: bool = False,
) -> list[Indices]:
    """Draw, without replacement, as many samples of every class as the smallest class has.

    Every class comes from the same blocks as the smallest one, as far as it has samples there, so
    that what blocks differ by does not become a difference of classes.

    Parameters
    ----------
    codes : ndarray of int, shape (n_samples,)
        Class of every sample. Classes that do not occur do not count.
    blocks : ndarray of int, shape (n_samples,)
        Its block, such as the run; all the same where there are none.
    n_draws : int
        Draws, each with all samples to choose from.
    seed : SeedSequence
    in_blocks : bool
        The numbers have to be equal within every block: in each one those of the class that has
        the fewest there. For samples that are centred by block.

    Returns
    -------
    list of ndarray of int
        Samples of every draw, in ascending order. One draw of all samples where the numbers are
        equal already.

    Raises
    ------
    ValueError
        If there is no sample, or no block has all classes though ``in_blocks`` asks for it.
    """
    counts = _counts(codes, blocks)
    if not counts.size:
        raise ValueError("there are no samples to draw")
    smallest = counts[counts.sum(axis=1).argmin()]
    wanted = counts.min(axis=0) if in_blocks else smallest
    if not wanted.any():
        raise ValueError("no block has samples of all classes")
    if len(codes) == len(counts) * wanted.sum():
        return [np.arange(len(codes), dtype=np.int64)]
    return [_draw(codes, blocks, wanted, child_seed(seed, number)) for number in range(n_draws)]


def _counts(codes: Indices, blocks: Indices) -> Indices:
    """Return the number of samples of every class and block that occurs."""
    classes, rows = np.unique(codes, return_inverse=True)
    names, columns = np.unique(blocks, return_inverse=True)
    counts = np.zeros((len(classes), len(names)), dtype=np.int64)
    np.add.at(counts, (rows, columns), 1)
    return counts


def _draw(
    codes: Indices, blocks: Indices, wanted: Indices, seed: np.random.SeedSequence
) -> Indices:
    """Draw samples of every class: those wanted of every block first, the rest from anywhere."""
    rng = np.random.default_rng(seed)
    chosen: list[Indices] = []
    for code in np.unique(codes):
        left = rng.permutation(np.flatnonzero(codes == code))
        taken = np.zeros(len(left), dtype=bool)
        for block, number in zip(np.unique(blocks), wanted, strict=True):
            taken[np.flatnonzero(blocks[left] == block)[:number]] = True
        missing = int(wanted.sum()) - int(taken.sum())
        taken[np.flatnonzero(~taken)[:missing]] = True
        chosen.append(left[taken])
    return np.sort(np.concatenate(chosen)).astype(np.int64)
