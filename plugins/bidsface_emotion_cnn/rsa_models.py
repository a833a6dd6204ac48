"""Model RDMs: from matrix files, from numbers per class, from groups of classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bidsface.errors import InputError
from bidsface.files import located
from bidsface.numerics.dissimilarity import pairs_of
from bidsface.numerics.rdm_statistics import STATISTICS
from bidsface_emotion_cnn.rsa import CategoryModel, FeatureModel, RsaOptions, values_of

Floats = NDArray[np.float64]

MISSING = ("", "n/a")
TOLERANCE = 1e-6
"""Relative difference of the two halves of a matrix that rounding may leave."""


@dataclass(frozen=True, eq=False)
class ModelRdm:
    """Dissimilarities that a model expects.

    Attributes
    ----------
    name : str
    source : str
        What messages call it: its file, or its key in the recipe.
    classes : tuple of str
    matrix : ndarray of shape (n_classes, n_classes)
    """

    name: str
    source: str
    classes: tuple[str, ...]
    matrix: Floats

    def rdm(self, classes: Sequence[str], statistic: str) -> Floats:
        """Return the dissimilarities of all pairs of some classes, (n_pairs,).

        Raises
        ------
        InputError
            If the model lacks one of them, or cannot tell them apart.
        """
        missing = [name for name in classes if name not in self.classes]
        if missing:
            raise InputError(
                f"{self.source}: wanted the classes {', '.join(classes)}, found "
                f"{', '.join(self.classes)} without {', '.join(missing)}"
            )
        places = [self.classes.index(name) for name in classes]
        rdm = self.matrix[np.ix_(places, places)][pairs_of(len(classes))]
        if not np.isfinite(STATISTICS[statistic].vectors(rdm)).all():
            raise InputError(
                f"{self.source}: wanted dissimilarities that differ between the classes "
                f"{', '.join(classes)}, found {rdm[0]:g} for all pairs"
            )
        return rdm


def usable_models(
    models: Mapping[str, ModelRdm], classes: Sequence[str], statistic: str, task: str
) -> tuple[dict[str, Floats], list[str]]:
    """Return the dissimilarities that models expect of some classes, and notes on the others.

    A model that lacks one of the classes, or cannot tell them apart, is left out.
    """
    found: dict[str, Floats] = {}
    notes: list[str] = []
    for name, own in models.items():
        try:
            found[name] = own.rdm(classes, statistic)
        except InputError as error:
            notes.append(f"task {task}: model {name} was left out, {error}")
    return found, notes


def read_models(options: RsaOptions, bids_dir: Path | None = None) -> dict[str, ModelRdm]:
    """Return the models of a recipe by name.

    Parameters
    ----------
    options : RsaOptions
    bids_dir : Path or None
        The data set, which paths that begin with `bids::` lie in.

    Raises
    ------
    InputError
        If a file is not a matrix of dissimilarities.
    RecipeError
        If a file should lie in the data set, and there is none.
    """
    return {name: _model(name, model, bids_dir) for name, model in options.models.items()}


def _model(name: str, model: str | FeatureModel | CategoryModel, bids_dir: Path | None) -> ModelRdm:
    if isinstance(model, str):
        path = located(model, bids_dir)
        classes, matrix = read_matrix(path)
        return ModelRdm(name, str(path), classes, matrix)
    if isinstance(model, FeatureModel):
        points = np.array([values_of(own) for own in model.columns.values()], np.float64)
        distances = np.linalg.norm(points[:, None] - points, axis=2)
        return ModelRdm(name, f"models.{name}.columns", tuple(model.columns), distances)
    groups = {own: number for number, group in enumerate(model.classes) for own in group}
    codes = np.array(list(groups.values()))
    different = (codes[:, None] != codes).astype(np.float64)
    return ModelRdm(name, f"models.{name}.classes", tuple(groups), different)


def read_matrix(path: Path) -> tuple[tuple[str, ...], Floats]:
    """Return the classes of a matrix file, and the matrix.

    Parameters
    ----------
    path : Path
        TSV with names of classes as header and in the first column, whose own header may be
        anything; the diagonal is 0 or ``n/a``.

    Returns
    -------
    classes : tuple of str
        In the order of the rows.
    matrix : ndarray of shape (n_classes, n_classes)

    Raises
    ------
    InputError
        If the file cannot be read as a symmetric matrix of dissimilarities.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read as a matrix of dissimilarities: {error}"
        ) from error
    lines = [[cell.strip() for cell in line.split("\t")] for line in text.splitlines()]
    header, *body = [line for line in lines if any(line)] or [[]]
    rows = tuple(line[0] for line in body)
    # R writes no name above the names of rows.
    columns = tuple(header[-len(rows) :] if len(header) >= len(rows) > 0 else header)
    uneven = [line for line in body if len(line) != 1 + len(rows)]
    if len(rows) < 2 or uneven or len(set(rows)) < len(rows) or sorted(rows) != sorted(columns):
        raise InputError(
            f"{path}: wanted the same classes as header and in the first column, each once; found "
            f"{', '.join(columns) or 'none'} and {', '.join(rows) or 'none'}"
        )
    places = [columns.index(name) for name in rows]
    cells = [[line[1 + place] for place in places] for line in body]
    matrix = _numbers(cells, rows, path)
    _check_matrix(matrix, rows, path)
    return rows, matrix


def _numbers(cells: Sequence[Sequence[str]], names: Sequence[str], path: Path) -> Floats:
    matrix = np.zeros((len(names), len(names)))
    for row, column in np.ndindex(*matrix.shape):
        text = cells[row][column]
        if row == column and text in MISSING:
            continue
        try:
            matrix[row, column] = float(text)
        except ValueError:
            matrix[row, column] = np.nan
        if not np.isfinite(matrix[row, column]):
            raise InputError(
                f"{path}: wanted a number for {names[row]} and {names[column]}, found {text!r}"
            )
    return matrix


def _check_matrix(matrix: Floats, names: Sequence[str], path: Path) -> None:
    scale = float(np.abs(matrix).max())
    faults: Mapping[str, Callable[[int, int], bool]] = {
        "a symmetric matrix": lambda row, column: (
            abs(matrix[row, column] - matrix[column, row]) > TOLERANCE * scale
        ),
        "dissimilarities, which are 0 on the diagonal": lambda row, column: (
            row == column and abs(matrix[row, column]) > TOLERANCE * scale
        ),
    }
    for wanted, is_fault in faults.items():
        for row, column in np.ndindex(*matrix.shape):
            if is_fault(row, column):
                raise InputError(
                    f"{path}: wanted {wanted}; found {matrix[row, column]:g} for {names[row]} and "
                    f"{names[column]}, {matrix[column, row]:g} the other way round"
                )
