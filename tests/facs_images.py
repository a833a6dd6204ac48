"""Images of several participants' trials with known effects, for tests of prediction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class TrialImages:
    """Images (n_images, n_voxels), their target and participants (n_images,)."""

    X: np.ndarray
    values: np.ndarray
    participants: np.ndarray

    @property
    def gram(self):
        return self.X @ self.X.T


def make_images(
    seed,
    counts=(6,) * 12,
    n_voxels=40,
    trial=0.0,
    person=0.0,
    own=1.0,
    level=1.0,
    centred=False,
):
    """Make images of participants with `counts` trials.

    `trial` is the strength with which images carry the deviations of single trials, `person` that
    with which they carry a participant's level; `own` is the size of images that participants have
    of their own, which have nothing to do with the target, and `level` that of the levels. Images
    carry deviations from the participant's mean if `centred`: else they also carry, by the mean
    of few deviations, a little of the mean of the participant's values.
    """
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(len(counts)), counts)
    levels = level * rng.standard_normal(len(counts))[codes]
    deviations = rng.standard_normal(len(codes))
    means = np.bincount(codes, deviations) / np.array(counts)
    carried = deviations - means[codes] if centred else deviations
    patterns = rng.standard_normal((2, n_voxels))
    X = rng.standard_normal((len(codes), n_voxels))
    X += own * rng.standard_normal((len(counts), n_voxels))[codes]
    X += trial * carried[:, None] * patterns[0] + person * levels[:, None] * patterns[1]
    names = np.array([f"p{code:02d}" for code in range(len(counts))])
    return TrialImages(X, levels + deviations, names[codes])
