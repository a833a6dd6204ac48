"""Contrasts: from expressions over conditions to weights of regressors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

Weights = Mapping[str, float]
"""Weight by name of the regressor; those of weight 0 are left out."""

EVERYTHING = "all"
"""Name of the mean over conditions."""

DERIVATIVES: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "time": ("_derivative",),
    "dispersion": ("_derivative", "_dispersion"),
}
"""What nilearn appends to a condition's name for its further regressors."""

RESERVED = ("Fdr", "Bonferroni", "Cluster", "Permutation", "PermutationCluster", "LeaveOneOut")
"""Ends of labels that tell kinds of group maps of one contrast apart."""


class UnknownConditionError(ValueError):
    """An expression names something that is no condition."""


def regressors(conditions: Iterable[str], derivatives: str) -> list[str]:
    """Return the names of all regressors of conditions."""
    ends = ("", *DERIVATIVES[derivatives])
    return [f"{condition}{end}" for condition in conditions for end in ends]


def parse(expression: str, names: Sequence[str]) -> Weights:
    """Return the weights that an expression gives to regressors.

    Names that are no Python identifiers stand in backticks, unless they are the whole expression.

    Parameters
    ----------
    expression : str
        Such as ``joy - 0.5 * (anger + disgust)``.
    names : sequence of str
        Regressors that there are.

    Raises
    ------
    UnknownConditionError
        If it names another one.
    ValueError
        If it is no weighted sum of regressors, or all weights are 0.
    """
    if expression.strip() in names:
        return {expression.strip(): 1.0}
    # One row per regressor; then what a weighted sum maps to 0 and to -2 times its weights' sum.
    rows = np.vstack([np.eye(len(names)), np.zeros(len(names)), np.full(len(names), -2.0)])
    values = _evaluate(expression, pd.DataFrame(rows, columns=list(names)))
    weights, nothing, together = values[:-2], values[-2], values[-1]
    if nothing != 0 or not np.isclose(together, -2.0 * weights.sum()):
        raise ValueError(f"{expression!r} is no weighted sum of conditions")
    if not weights.any():
        raise ValueError(f"{expression!r} gives no condition any weight")
    return {name: float(weight) for name, weight in zip(names, weights, strict=True) if weight}


def _evaluate(expression: str, frame: pd.DataFrame) -> np.ndarray:
    try:
        found = frame.eval(expression, engine="python", local_dict={}, global_dict={})
        values = np.asarray(found, dtype=float)
    except pd.errors.UndefinedVariableError as error:
        raise UnknownConditionError(f"{expression!r}: {error}") from error
    except Exception as error:  # whatever Python's parser and pandas may raise
        raise ValueError(f"{expression!r} cannot be read: {error}") from error
    if values.shape != (len(frame),) or not np.isfinite(values).all():
        raise ValueError(f"{expression!r} is no weighted sum of conditions")
    return values


def label_of(name: str) -> str:
    """Return a name as a BIDS label: ``happy_face`` becomes ``happyFace``."""
    first, *others = re.findall(r"[0-9a-zA-Z]+", name) or ["x"]
    return first + "".join(word[:1].upper() + word[1:] for word in others)


def with_end(label: str, end: str) -> str:
    """Return a label with a further word: ``all`` and ``age`` make ``allAge``."""
    return label + end[:1].upper() + end[1:]


def default_contrasts(conditions: Sequence[str]) -> dict[str, Weights]:
    """Return one contrast per condition, and their mean.

    Raises
    ------
    ValueError
        If two of them would have one label.
    """
    mean = {condition: 1.0 / len(conditions) for condition in conditions}
    found: dict[str, Weights] = {}
    owners: dict[str, str] = {EVERYTHING: "the mean of all conditions"}
    for condition in conditions:
        label = label_of(condition)
        if label in owners:
            raise ValueError(
                f"condition {condition!r} and {owners[label]} would both be called {label!r}; "
                "name contrasts in the option contrasts, or merge classes under other names"
            )
        owners[label] = f"condition {condition!r}"
        found[label] = {condition: 1.0}
    return {EVERYTHING: mean, **found} if conditions else {}
