"""What is planted where: patterns of voxels that stand for the expressions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.demo.anatomy import structure_mask
from bidsface.demo.trials import EXPRESSIONS

SHARED: Mapping[str, tuple[str, ...]] = {
    "primarysomatosensory": ("postcentral",),
    "primarymotor": ("precentral",),
    "premotor": ("caudalmiddlefrontal",),
}
"""Regions where both tasks have the same patterns, and their structures."""
MAPPED: Mapping[str, tuple[str, ...]] = {
    "inferioroccipital": ("lateraloccipital",),
    "fusiform": ("fusiform",),
    "superiortemporalsulcus": ("bankssts", "superiortemporal"),
}
"""Regions where an orthogonal map turns the patterns of one task into those of the other."""
CONTROL: Mapping[str, tuple[str, ...]] = {
    "amygdala": ("Amygdala",),
    "thalamus": ("Thalamus",),
    "insula": ("insula",),
    "anteriorcingulate": ("caudalanteriorcingulate", "rostralanteriorcingulate"),
}
"""Regions with no pattern."""
PLANTED: Mapping[str, tuple[str, ...]] = {**SHARED, **MAPPED}
TASKS = ("display", "observe")
REFERENCE_SIZE = 60
"""Voxels at which a pattern has exactly the nominal strength."""
COMMON_ACTIVATION = 0.4
"""Mean response to any expression (noise standard deviations)."""
TRIAL_GAIN, TRIAL_SCATTER = 0.25, 0.5
"""Standard deviations over trials: of the response's gain, and of the part of a trial's pattern
that no other trial has, relative to the class patterns'."""


@dataclass(frozen=True)
class Planted:
    """The patterns of one region of one participant.

    Attributes
    ----------
    voxels : ndarray of int, shape (v,)
        Which of the brain's voxels.
    patterns : mapping of task to ndarray of shape (n_expressions, v)
        Response to each expression without the common activation, in standard deviations of the
        noise; rows sum to zero over the expressions.
    mapping : ndarray of shape (v, v) or None
        Orthogonal; ``patterns["observe"]`` is, up to the tasks' strength,
        ``patterns["display"] @ mapping.T``. None where the tasks share their patterns.
    """

    voxels: NDArray[np.intp]
    patterns: Mapping[str, NDArray[np.float32]]
    mapping: NDArray[np.float32] | None = None

    def respond(
        self, rng: np.random.Generator, task: str, classes: NDArray[np.intp]
    ) -> NDArray[np.float32]:
        """Draw the response of every trial, shape (n_trials, v).

        What is peculiar to a trial is drawn in the frame of the displaying task and mapped like
        the patterns themselves.
        """
        patterns = self.patterns[task]
        scatter = rng.standard_normal((len(classes), len(self.voxels)), dtype=np.float32)
        if self.mapping is not None and task == "observe":
            scatter = scatter @ self.mapping.T
        gain = rng.normal(1, TRIAL_GAIN, (len(classes), 1)).astype(np.float32)
        specific = patterns[classes] + TRIAL_SCATTER * patterns.std() * scatter
        return gain * (COMMON_ACTIVATION + specific)


def plant(
    rng: np.random.Generator,
    aparcaseg: NDArray[np.int16],
    brain: NDArray[np.bool_],
    strength: Mapping[str, float],
) -> dict[str, Planted]:
    """Draw one participant's patterns in every planted region.

    Parameters
    ----------
    rng : numpy.random.Generator
    aparcaseg : ndarray of int
        The participant's segmentation.
    brain : ndarray of bool, the grid's shape
    strength : mapping of task to float
        Standard deviation of the class patterns over voxels, in standard deviations of the noise,
        in a region of 60 voxels. In one of v voxels it is (60 / v)^(1/4) times that: the
        discriminability of classes whose means are estimated from few noisy trials grows with
        strength^2 times the square root of v, and so is alike in all regions.
    """
    planted = {}
    for name, structures in PLANTED.items():
        voxels = np.flatnonzero(structure_mask(aparcaseg, structures)[brain])
        scale = (REFERENCE_SIZE / max(len(voxels), 1)) ** 0.25
        sd = {task: strength[task] * scale for task in TASKS}
        draw = _mapped_patterns if name in MAPPED else _shared_patterns
        planted[name] = draw(rng, voxels, sd)
    return planted


def _shared_patterns(
    rng: np.random.Generator, voxels: NDArray[np.intp], sd: Mapping[str, float]
) -> Planted:
    pattern = _class_patterns(rng.standard_normal((len(voxels), len(EXPRESSIONS))))
    return Planted(voxels, {task: pattern * np.float32(sd[task]) for task in TASKS})


def _mapped_patterns(
    rng: np.random.Generator, voxels: NDArray[np.intp], sd: Mapping[str, float]
) -> Planted:
    """Draw patterns whose observing form is orthogonal to the displaying one.

    The map is Q P Q' with a random orthogonal Q and a cyclic shift P by as many axes as there are
    expressions, which takes the span of the first of Q's columns to that of the next ones.
    """
    size, shift = len(voxels), len(EXPRESSIONS)
    basis, _ = np.linalg.qr(rng.standard_normal((size, size)))
    mapping = np.roll(basis, -shift, axis=1) @ basis.T
    pattern = _class_patterns(basis[:, :shift])
    patterns = {
        "display": pattern * np.float32(sd["display"]),
        "observe": pattern @ mapping.T.astype(np.float32) * np.float32(sd["observe"]),
    }
    return Planted(voxels, patterns, mapping.astype(np.float32))


def _class_patterns(axes: NDArray[np.float64]) -> NDArray[np.float32]:
    """Turn axes (v, n_expressions) into patterns (n_expressions, v) that sum to 0, with sd 1."""
    patterns = axes.T - axes.mean(axis=1)
    return np.asarray(patterns / patterns.std(), dtype=np.float32)
