"""Patterns of classes: samples scaled, averaged by class and run, and their noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.analysis import Samples
from bidsface.errors import InputError
from bidsface.numerics.dissimilarity import correlation_rdm, crossnobis_rdm, euclidean_rdm
from bidsface.numerics.whitening import Whitening, diagonal_whitening, shrinkage_whitening
from bidsface_emotion_cnn.rsa import RsaOptions

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

FEWEST_CLASSES = 3
"""Classes that an RDM needs for a comparison with others."""

COLUMNS = 8192
"""Voxels that are scaled at once."""

TOLERANCE = 1e-12
"""Relative difference of samples that rounding may leave."""


@dataclass(frozen=True, eq=False)
class Design:
    """Which class and run the samples of a task are of.

    Attributes
    ----------
    classes : tuple of str
        Sorted.
    rows : ndarray of int, shape (n_samples,)
        Rows of ``Samples.X``.
    codes, runs : ndarray of int, shape (n_samples,)
    used : ndarray of bool, shape (n_samples,)
        Samples that voxels are scaled by and that the means of classes are of; the others only tell
        how large the noise is.
    """

    classes: tuple[str, ...]
    rows: Indices
    codes: Indices
    runs: Indices
    used: NDArray[np.bool_]

    @property
    def cells(self) -> NDArray[np.intp]:
        """Number of samples of every run and class, (n_runs, n_classes)."""
        counts = np.zeros((int(self.runs.max()) + 1, len(self.classes)), dtype=np.intp)
        np.add.at(counts, (self.runs, self.codes), 1)
        return counts

    @property
    def dof(self) -> int:
        """Degrees of freedom of the samples within class and run."""
        return len(self.rows) - int((self.cells > 0).sum())

    def class_means(self, values: Floats) -> Floats:
        """Return the mean of the used samples of every class, (n_classes, n_voxels)."""
        members = [self.used & (self.codes == code) for code in range(len(self.classes))]
        return np.stack([values[own].mean(axis=0) for own in members])

    def cell_means(self, values: Floats) -> Floats:
        """Return the mean of the used samples of every run and class.

        Shape (n_runs, n_classes, n_voxels), NaN where a run has none of a class.
        """
        return self._cell_means(values, self.used)

    def residuals(self, values: Floats) -> Floats:
        """Return what samples differ from the mean of their run and class, of all samples."""
        every = np.ones(len(values), dtype=bool)
        return values - self._cell_means(values, every)[self.runs, self.codes]

    def _cell_means(self, values: Floats, counted: NDArray[np.bool_]) -> Floats:
        found = np.full((*self.cells.shape, values.shape[1]), np.nan)
        for run, code in np.argwhere(self.cells > 0):
            members = counted & (self.runs == run) & (self.codes == code)
            if members.any():
                found[run, code] = values[members].mean(axis=0)
        return found


def make_design(
    samples: Samples, task: str, options: RsaOptions
) -> tuple[Design | None, list[str]]:
    """Return the design of a task, and notes on classes that are left out.

    None where fewer than three classes are left.

    Raises
    ------
    InputError
        If the task lacks classes that the recipe names, or has too little for the options.
    """
    labels = samples.table["trial_type"].to_numpy(str)
    there = sorted(set(labels))
    missing = [name for name in options.classes if name not in there]
    if missing:
        raise InputError(
            f"task {task}: wanted the classes {', '.join(options.classes)}, found "
            f"{', '.join(there)} without {', '.join(missing)}"
        )
    classes = [name for name in there if not options.classes or name in options.classes]
    notes: list[str] = []
    blocks = samples.table["block"].to_numpy(str)
    if options.dissimilarity == "crossnobis":
        classes, notes = _with_two_runs(labels, blocks, classes, task)
    if len(classes) < FEWEST_CLASSES:
        found = ", ".join(classes) or "none"
        return None, [
            *notes,
            f"task {task}: {FEWEST_CLASSES} classes at least are needed for dissimilarities that "
            f"can be compared, found {found}; no RDM was made",
        ]
    rows = np.flatnonzero(np.isin(labels, classes))
    codes = np.searchsorted(np.array(classes), labels[rows])
    runs = np.unique(blocks[rows], return_inverse=True)[1]
    used = np.ones(len(rows), dtype=bool)
    design = Design(tuple(classes), rows, codes.astype(np.intp), runs.astype(np.intp), used)
    if options.normalization != "none" and design.dof < 1:
        raise InputError(
            f"task {task}: noise: {options.normalization} wanted several samples of a class in a "
            f"run, found {len(rows)} samples, one in each; use noise: none"
        )
    return design, notes


def _with_two_runs(
    labels: NDArray, blocks: NDArray, classes: Sequence[str], task: str
) -> tuple[list[str], list[str]]:
    """Leave out classes until two runs at least have both of every two classes."""
    kept = list(classes)
    notes: list[str] = []
    has = np.array(
        [[((labels == name) & (blocks == run)).any() for name in kept] for run in np.unique(blocks)]
    ).astype(int)
    while len(kept) > 1:
        lacking = has.T @ has < 2
        if not lacking.any():
            break
        worst = int(lacking.sum(axis=0).argmax())
        notes.append(
            f"task {task}: class {kept[worst]} was left out: crossnobis wants two runs at least "
            "with both of every two classes"
        )
        del kept[worst]
        has = np.delete(has, worst, axis=1)
    return kept, notes


@dataclass(frozen=True, eq=False)
class RegionPatterns:
    """Patterns of the classes in some voxels.

    Attributes
    ----------
    patterns : ndarray of shape (n_classes, n_voxels) or (n_runs, n_classes, n_voxels)
        By run for ``crossnobis``; NaN where a run lacks a class.
    whitening : Whitening or None
    """

    patterns: Floats
    whitening: Whitening | None

    def rdm(self, dissimilarity: str) -> Floats:
        """Return the dissimilarities of all pairs of classes, (n_pairs,)."""
        if dissimilarity == "crossnobis":
            return crossnobis_rdm(self.patterns, self.whitening)
        if dissimilarity == "euclidean":
            return euclidean_rdm(self.patterns, self.whitening)
        return correlation_rdm(self.patterns, self.whitening)

    @property
    def whitened(self) -> Floats:
        """Patterns after noise normalization, which has to be by single voxels."""
        return self.patterns if self.whitening is None else self.whitening(self.patterns)


def varying(
    X: NDArray[np.float32], columns: Indices, designs: Sequence[Design], noise: str
) -> Indices:
    """Return which of a region's columns vary over the used samples of all designs.

    With ``noise`` other than ``none`` also within class and run: a voxel without noise cannot be
    divided by it.
    """
    kept = [np.empty(0, dtype=np.intp)]
    for some in _pieces(columns):
        raw = X[np.ix_(designs[0].rows, some)]
        inside = np.logical_and.reduce([np.ptp(raw[own.used], axis=0) > 0 for own in designs])
        if noise != "none":
            left = designs[0].residuals(raw.astype(np.float64))
            inside &= np.ptp(left, axis=0) > TOLERANCE * np.abs(raw).max(axis=0)
        kept.append(some[inside])
    return np.concatenate(kept)


def _pieces(columns: Indices) -> Iterator[Indices]:
    for start in range(0, len(columns), COLUMNS):
        yield columns[start : start + COLUMNS]


def region_patterns(
    X: NDArray[np.float32], columns: Indices, design: Design, options: RsaOptions, noise: str
) -> RegionPatterns:
    """Return the patterns of a region's voxels.

    Parameters
    ----------
    X : ndarray of shape (n_all_samples, n_all_voxels)
    columns : ndarray of int, shape (n_columns,)
        As `varying` returns them; at least one.
    design : Design
    options : RsaOptions
    noise : {"shrinkage", "diagonal", "none"}
    """
    average = design.cell_means if options.dissimilarity == "crossnobis" else design.class_means
    patterns: list[Floats] = []
    residuals: list[Floats] = []
    for some in _pieces(columns):
        raw = X[np.ix_(design.rows, some)].astype(np.float64)
        values = standardized(raw, design, options.standardize)
        if noise != "none":
            residuals.append(_kept(design.residuals(values), noise))
        patterns.append(average(values))
    whitening = None
    if noise != "none":
        make = {"shrinkage": shrinkage_whitening, "diagonal": diagonal_whitening}[noise]
        whitening = make(np.concatenate(residuals, axis=1), design.dof)
    return RegionPatterns(np.concatenate(patterns, axis=-1), whitening)


def mean_rdm(
    X: NDArray[np.float32], columns: Indices, designs: Sequence[Design], options: RsaOptions
) -> Floats:
    """Return the mean over designs of a region's dissimilarities, (n_pairs,)."""
    noise = options.normalization
    return np.mean(
        [
            region_patterns(X, columns, own, options, noise).rdm(options.dissimilarity)
            for own in designs
        ],
        axis=0,
    )


def _kept(residuals: Floats, noise: str) -> Floats:
    """Return residuals, or two samples with the same sums of squares where only those are used."""
    if noise == "shrinkage":
        return residuals
    half = np.sqrt(np.einsum("ij,ij->j", residuals, residuals) / 2)
    return np.stack([half, -half])


def standardized(values: Floats, design: Design, how: str) -> Floats:
    """Return samples (n_samples, n_voxels), of which the used ones have mean 0 and deviation 1.

    ``how``: over the ``task``, over each ``run`` (0 where a voxel does not vary in it), ``none``.
    Runs of which no sample is used are scaled by all of theirs.
    """
    if how == "none":
        return values
    groups = design.runs if how == "run" else np.zeros(len(values), dtype=np.intp)
    found = np.zeros_like(values)
    for group in np.unique(groups):
        members = groups == group
        chosen = members & design.used
        reference = values[chosen if chosen.any() else members]
        spread = reference.std(axis=0)
        own = values[members] - reference.mean(axis=0)
        np.divide(own, spread, out=own, where=spread > 0)
        found[members] = np.where(np.ptp(reference, axis=0) > 0, own, 0.0)
    return found
