"""Samples of several tasks in one fold: scaled on their training parts, and their inner products.

Every task's features are scaled by its own training runs. Within and across tasks, with or without
an aligner, linear classifiers and aligners then need the voxels only through inner products with
training samples, so that no array of the size of the data outlives the pass over the voxels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.linear import Floats, FoldKernel, standardize, without_signal
from bidsface_decoding.crossvalidation import Fold
from bidsface_decoding.motion_regression import MotionRegression

Singles = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class View:
    """One task's samples in one region.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_voxels)
    columns : ndarray of shape (n_features,)
        Voxels of the region.
    motion : ndarray of shape (n_samples, n_parameters) or None
        Head-motion parameters to regress out first; None to keep the samples as they are.
    """

    X: NDArray[np.floating]
    columns: NDArray[np.intp]
    motion: NDArray[np.floating] | None = None


@dataclass(frozen=True, eq=False)
class ScaledBlock:
    """Scaled samples of one task in a block of voxels, and what the scaling took from training.

    Attributes
    ----------
    train, test : ndarray of shape (n_train, n_block) and (n_test, n_block)
    mean, scale : ndarray of shape (n_block,)
        After regressing head motion out, if that was asked for.
    motion : ndarray of shape (1 + n_parameters, n_block) or None
        Coefficients of intercept and head motion.
    """

    train: Floats
    test: Floats
    mean: Floats
    scale: Floats
    motion: Floats | None


@dataclass(frozen=True, eq=False)
class FoldViews:
    """What classifiers and aligners need of one fold.

    Attributes
    ----------
    train : mapping of task to ndarray of shape (n_train, n_train)
        Inner products of the task's training samples.
    test : mapping of (training task, test task) to ndarray of shape (n_test, n_train)
        Inner products of a task's test samples with a task's training samples.
    n_features : mapping of task to int
    scaled : mapping of task to (train, test)
        The scaled samples themselves, where they were asked for.
    """

    train: Mapping[str, Floats]
    test: Mapping[tuple[str, str], Floats]
    n_features: Mapping[str, int]
    scaled: Mapping[str, tuple[Singles, Singles]] = field(default_factory=dict)

    def kernel(self, train: str, test: str) -> FoldKernel:
        """Return the kernel of a classifier that is trained on one task and tested on another."""
        return FoldKernel(self.train[train], self.test[train, test], self.n_features[train])

    def mapped_kernel(self, train: str, operator: Floats) -> FoldKernel:
        """Return the kernel of test samples that are combinations of training samples.

        Parameters
        ----------
        train : str
        operator : ndarray of shape (n_test, n_train)
            Weights of the training samples.
        """
        rows = operator @ self.train[train]
        return FoldKernel(self.train[train], rows, self.n_features[train])


def scaled_blocks(
    views: Mapping[str, View], parts: Mapping[str, Fold], block_size: int = 1024
) -> Iterator[tuple[slice, dict[str, ScaledBlock]]]:
    """Yield the tasks' scaled samples in blocks of the region's voxels, in double precision.

    Parameters
    ----------
    views : mapping of task to View
    parts : mapping of task to Fold
        Tasks that take part in the fold.
    block_size : int

    Yields
    ------
    slice, dict of task to ScaledBlock
        Place of the block in the region. Tasks with fewer voxels are missing from the last blocks.
    """
    regressions = {
        task: MotionRegression(motion[part.train])
        for task, part in parts.items()
        if (motion := views[task].motion) is not None
    }
    largest = max(len(views[task].columns) for task in parts)
    for start in range(0, largest, block_size):
        place = slice(start, start + block_size)
        yield (
            place,
            {
                task: _scale(views[task], place, part, regressions.get(task))
                for task, part in parts.items()
                if start < len(views[task].columns)
            },
        )


def _scale(
    view: View, place: slice, part: Fold, regression: MotionRegression | None
) -> ScaledBlock:
    block = view.X[:, view.columns[place]]
    train, test = (block[members].astype(np.float64) for members in (part.train, part.test))
    constant = (train == train[:1]).all(axis=0)
    coefficients = None
    if regression is not None and view.motion is not None:
        coefficients = regression.clean(train, test, view.motion[part.test])
    mean, scale = standardize(train, test)
    # A voxel without signal in training, such as one that lay outside of the field of view, tells
    # nothing here. In another task it may, and must not meet test samples that were not scaled.
    constant |= without_signal(train)
    train[:, constant] = 0.0
    test[:, constant] = 0.0
    return ScaledBlock(train, test, mean, scale, coefficients)


def fold_views(
    views: Mapping[str, View], parts: Mapping[str, Fold], shared: bool, keep: bool
) -> FoldViews:
    """Scale the samples of a fold and return their inner products.

    Parameters
    ----------
    views : mapping of task to View
    parts : mapping of task to Fold
        Tasks that take part in the fold.
    shared : bool
        Whether the tasks' columns are the same voxels, so that samples of different tasks have
        inner products.
    keep : bool
        Whether to keep the scaled samples, in single precision.

    Raises
    ------
    ValueError
        If the samples hold values that are not finite.
    """
    sizes = {task: (len(part.train), len(part.test)) for task, part in parts.items()}
    n_features = {task: len(views[task].columns) for task in parts}
    train = {task: np.zeros((size[0], size[0])) for task, size in sizes.items()}
    test = {
        (known, tested): np.zeros((sizes[tested][1], sizes[known][0]))
        for known in parts
        for tested in parts
        if shared or known == tested
    }
    scaled = {
        task: tuple(np.empty((size, n_features[task]), np.float32) for size in sizes[task])
        for task in (parts if keep else ())
    }
    for place, blocks in scaled_blocks(views, parts):
        for task, block in blocks.items():
            train[task] += block.train @ block.train.T
            for copy, values in zip(scaled.get(task, ()), (block.train, block.test), strict=False):
                copy[:, place] = values
        for known, tested in test:
            if known in blocks and tested in blocks:
                test[known, tested] += blocks[tested].test @ blocks[known].train.T
    if not all(np.isfinite(one).all() for one in (*train.values(), *test.values())):
        raise ValueError("the data hold values that are not finite")
    return FoldViews(
        train, test, n_features, {task: (one, other) for task, (one, other) in scaled.items()}
    )
