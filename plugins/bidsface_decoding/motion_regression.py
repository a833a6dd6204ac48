"""Head motion regressed out of samples, with coefficients of the training part alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.linear import Floats


class MotionRegression:
    """Least-squares regression of every voxel on head-motion parameters and an intercept.

    Minimizes ``||X - [1 M] B||^2`` over B on the training samples, and leaves ``X - [1 M] B`` of
    these and of other samples. The intercept makes the residuals' training mean 0.

    Parameters
    ----------
    motion : ndarray of shape (n_train, n_parameters)
        Head-motion parameters of the training samples, in any unit.
    """

    def __init__(self, motion: NDArray[np.floating]) -> None:
        known = np.asarray(motion, dtype=np.float64)
        self.mean_ = known.mean(axis=0)
        spread = known.std(axis=0)
        self.scale_ = np.where(spread > 0, spread, 1.0)
        self.design_ = self._design(known)
        self.inverse_ = np.linalg.pinv(self.design_)

    def _design(self, motion: NDArray[np.floating]) -> Floats:
        scaled = (motion - self.mean_) / self.scale_
        return np.column_stack([np.ones(len(scaled)), scaled])

    def clean(self, train: Floats, test: Floats, test_motion: NDArray[np.floating]) -> Floats:
        """Replace samples in place by their residuals; return the coefficients of the voxels.

        Parameters
        ----------
        train : ndarray of shape (n_train, n_features)
        test : ndarray of shape (n_test, n_features)
        test_motion : ndarray of shape (n_test, n_parameters)

        Returns
        -------
        ndarray of shape (1 + n_parameters, n_features)
        """
        coefficients: Floats = self.inverse_ @ train
        train -= self.design_ @ coefficients
        test -= self._design(np.asarray(test_motion, dtype=np.float64)) @ coefficients
        return coefficients
