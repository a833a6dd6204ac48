"""Base of aligners: what one view of paired samples tells about another.

Every prediction is a weighted sum of the samples that the aligner was fitted to, and the weights
follow from inner products of samples. So the voxels cost one product of matrices, whatever comes
after: folds, restarts, permutations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from bidsface.numerics.linear import Floats
from bidsface_decoding.inner_products import (
    centred,
    centred_cross,
    inner_products,
    principal_axes,
)

Views = Mapping[int, ArrayLike] | Sequence[ArrayLike | None]


class Aligner(BaseEstimator):
    """Base of aligners. Views are centred inside, on the means of the fitted samples.

    A subclass implements ``_fit`` and ``_weights``, and ``_scores`` if it has a shared space of its
    own; the default takes the principal axes of the first view for it.

    Attributes
    ----------
    n_views_, n_samples_ : int
    n_features_ : tuple of int
        Of every view.
    views_ : tuple of ndarray or None
        The samples of ``fit``, not copied; None after ``fit_grams``.
    """

    def fit(self, views: Sequence[ArrayLike], y: Any = None) -> Aligner:
        """Learn how the views go together.

        Parameters
        ----------
        views : sequence of ndarray, each of shape (n_samples, n_features_m)
            Row i of every view belongs to one pair (or tuple). They are kept, not copied.
        y : None
            Ignored; labels serve to pair the samples, before.

        Raises
        ------
        ValueError
            If there are fewer than two views or three samples, or numbers are not finite.
        """
        arrays = [_samples(view) for view in views]
        grams = [inner_products(array, array) for array in arrays]
        self.fit_grams(grams, [array.shape[1] for array in arrays])
        self.views_: tuple[NDArray[np.floating], ...] | None = tuple(arrays)
        return self

    def fit_grams(self, grams: Sequence[ArrayLike], n_features: Sequence[int]) -> Aligner:
        """Do what `fit` does, from inner products.

        Parameters
        ----------
        grams : sequence of ndarray, each of shape (n_samples, n_samples)
            ``X_m @ X_m.T``, not centred.
        n_features : sequence of int
            Number of columns of every X_m.
        """
        self._validate_params()
        self.grams_ = _checked_grams(grams, n_features)
        self.views_ = None
        self.n_views_, self.n_samples_ = len(self.grams_), len(self.grams_[0])
        self.n_features_ = tuple(int(n) for n in n_features)
        self._fit(tuple(centred(gram) for gram in self.grams_))
        return self

    def predict(self, view: int, others: Views) -> Floats:
        """Predict new samples of one view from the other views.

        Parameters
        ----------
        view : int
            Index of the view to predict.
        others : mapping of int to ndarray, shape (n_new, n_features_o)
            New samples of one or more other views.

        Returns
        -------
        ndarray of shape (n_new, n_features_view)
        """
        return self.mixing(view, self._crosses(others)) @ self._fitted_views()[view]

    def mixing(self, view: int, crosses: Mapping[int, ArrayLike]) -> Floats:
        """Return by which weights a prediction is made up of the fitted samples.

        Parameters
        ----------
        view : int
        crosses : mapping of int to ndarray, shape (n_new, n_samples)
            ``X_new_o @ X_o.T``, not centred, of one or more other views.

        Returns
        -------
        ndarray of shape (n_new, n_samples)
            ``predict(view, others)`` is ``mixing @ X_view``. Rows sum to 1.
        """
        if view in crosses:
            raise ValueError(f"view {view} is to be predicted: it cannot be among the others")
        self._check_index(view)
        weights = self._weights(view, self._centred_crosses(crosses))
        return weights - weights.mean(axis=1, keepdims=True) + 1 / self.n_samples_

    def transform(self, views: Views) -> Floats:
        """Map new samples into the shared space.

        Parameters
        ----------
        views : mapping of int to ndarray, or sequence of ndarray or None
            New samples of one or more views, by index; None stands for a view that is missing.

        Returns
        -------
        ndarray of shape (n_new, n_shared)
        """
        return self.scores(self._crosses(views))

    def scores(self, crosses: Mapping[int, ArrayLike]) -> Floats:
        """Return what `transform` does, from inner products as `mixing` takes them."""
        return self._scores(self._centred_crosses(crosses))

    def _fit(self, grams: tuple[Floats, ...]) -> None:
        """Fit to centred inner products."""
        raise NotImplementedError

    def _weights(self, view: int, crosses: Mapping[int, Floats]) -> Floats:
        """Return weights (n_new, n_samples) of the centred fitted samples."""
        raise NotImplementedError

    def _scores(self, crosses: Mapping[int, Floats]) -> Floats:
        """Return the mean over views of what they tell about the first one's principal axes."""
        gram = centred(self.grams_[0])
        axes, lengths = principal_axes(gram)
        told = [
            cross if view == 0 else self._weights(0, {view: cross}) @ gram
            for view, cross in crosses.items()
        ]
        return np.mean(told, axis=0) @ (axes / lengths)

    def _crosses(self, views: Views) -> dict[int, Floats]:
        fitted = self._fitted_views()
        named = views if isinstance(views, Mapping) else dict(enumerate(views))
        crosses = {}
        for index, view in named.items():
            if view is None:
                continue
            self._check_index(index)
            array = _samples(view)
            if array.shape[1] != self.n_features_[index]:
                raise ValueError(
                    f"view {index} has {array.shape[1]} features, {self.n_features_[index]} "
                    "were fitted"
                )
            crosses[index] = inner_products(array, fitted[index])
        return crosses

    def _centred_crosses(self, crosses: Mapping[int, ArrayLike]) -> dict[int, Floats]:
        check_is_fitted(self)
        if not crosses:
            raise ValueError("no view to start from")
        arrays = {}
        for index, cross in crosses.items():
            self._check_index(index)
            array = np.asarray(cross, dtype=np.float64)
            if array.ndim != 2 or array.shape[1] != self.n_samples_:
                raise ValueError(
                    f"inner products of view {index} have shape {array.shape}, not (n_new, "
                    f"{self.n_samples_})"
                )
            arrays[index] = centred_cross(array, self.grams_[index])
        if len({len(array) for array in arrays.values()}) > 1:
            raise ValueError("the views have different numbers of new samples")
        return arrays

    def _fitted_views(self) -> tuple[NDArray[np.floating], ...]:
        check_is_fitted(self)
        if self.views_ is None:
            raise ValueError(
                f"this {type(self).__name__} was fitted to inner products: use mixing and scores"
            )
        return self.views_

    def _check_index(self, view: int) -> None:
        check_is_fitted(self)
        if view not in range(self.n_views_):
            raise ValueError(f"no view {view!r}; there are 0 to {self.n_views_ - 1}")


def _samples(view: ArrayLike) -> NDArray[np.floating]:
    array = np.asarray(view)
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    if array.ndim != 2:
        raise ValueError(f"a view must have shape (n_samples, n_features), found {array.shape}")
    return array


def _checked_grams(grams: Sequence[ArrayLike], n_features: Sequence[int]) -> tuple[Floats, ...]:
    arrays = tuple(np.asarray(gram, dtype=np.float64) for gram in grams)
    if len(arrays) < 2 or len(arrays) != len(n_features):
        raise ValueError(
            f"an aligner needs at least 2 views, and the number of features of each; found "
            f"{len(arrays)} and {len(n_features)}"
        )
    n = len(arrays[0])
    if n < 3:
        raise ValueError(f"an aligner needs at least 3 paired samples, found {n}")
    for index, array in enumerate(arrays):
        if array.shape != (n, n):
            raise ValueError(
                f"inner products of view {index} have shape {array.shape}, not {(n, n)}: "
                "views must have the same samples"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"view {index} contains numbers that are not finite")
    return arrays
