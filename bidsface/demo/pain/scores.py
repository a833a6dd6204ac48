"""How strongly whom a stimulus makes to express pain: heavy-tailed scores, half of them zero."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

BLOCK = 10
"""Participants among whom every tenth of the distribution occurs once."""
PLACE = (0.25, 0.75)
"""Where in their tenth they may be; nobody is at the distribution's very ends."""
SCALE, POWER = 10.0, 1.5
"""A score is ``SCALE * max(latent, 0) ** POWER``: that skews like real scores do."""
LARGEST = 64
WITHIN = 0.37
"""Standard deviation over trials of the latent variable."""
PER_DEGREE = 0.18
"""Change of the latent variable with the temperature (1 / degree Celsius)."""
MIDDLE = 47.5
"""Temperature (degrees Celsius) at which a participant's latent variable has its own mean."""


def draw_expressiveness(rng: np.random.Generator, mean: float, number: int) -> NDArray[np.float64]:
    """Draw how expressive each participant is.

    Of every ten participants, one is from each tenth of the normal distribution, in random order:
    small studies have expressive and stoic participants too.

    Parameters
    ----------
    rng : numpy.random.Generator
    mean : float
        In standard deviations between participants.
    number : int

    Returns
    -------
    ndarray of shape (number,)
        The first ones do not depend on `number`.
    """
    n_blocks = -(-number // BLOCK)
    blocks = [rng.permutation(BLOCK) + rng.uniform(*PLACE, BLOCK) for _ in range(n_blocks)]
    share = np.concatenate(blocks)[:number] / BLOCK
    return np.asarray(mean + norm.ppf(share))


def draw_scores(
    rng: np.random.Generator, expressiveness: float, temperatures: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Draw the scores of one participant's painful trials.

    Parameters
    ----------
    rng : numpy.random.Generator
    expressiveness : float
    temperatures : ndarray of shape (n_trials,)
        Degrees Celsius.

    Returns
    -------
    ndarray of int, shape (n_trials,)
        0 to 64.
    """
    latent = expressiveness + PER_DEGREE * (temperatures - MIDDLE)
    latent = latent + WITHIN * rng.standard_normal(len(temperatures))
    scores = np.rint(SCALE * np.clip(latent, 0, None) ** POWER).astype(np.intp)
    return np.minimum(scores, LARGEST)
