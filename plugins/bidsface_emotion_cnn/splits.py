"""Which volumes a network is trained on, stopped by and tested on.

`runs`
    Film segments are held out, in all participants at once: the same second of the film is never in
    two parts. Across the border of two segments the film goes on; `segment_borders` leaves out what
    is near. This is the honest test of whether a network knows the emotion rather than the moment
    of the film.

`participants`
    Participants are held out. The same seconds of the film, seen by others, are in the training
    part: responses to a moment that are alike in people are enough to do well.

`random`
    The published split, random over volumes. The neighbouring seconds of the same participant and
    the same second of others are in all parts; it is here to show how much that adds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.seeds import child_seed
from bidsface_emotion_cnn.resampling import Indices

Scheme = Literal["runs", "participants", "random"]
SCHEMES: tuple[str, ...] = get_args(Scheme)
"""From the most honest one on."""

MAX_FOLDS = 5
"""Groups of participants where no number is asked for."""
MOST_NAMED = 4
"""Held-out units that a fold's name lists."""
FEWEST = 3
"""Runs, participants, or volumes of a class: one for every part."""


@dataclass(frozen=True, eq=False)
class Fold:
    """Three parts of the volumes that have none in common.

    Attributes
    ----------
    name : str
        What was held out.
    train, validation, test : ndarray of int64
        Volumes, ascending.
    """

    name: str
    train: Indices
    validation: Indices
    test: Indices


Usable = Callable[[Indices], NDArray[np.bool_]]
"""Returns which volumes may be trained on or validate beside tested ones."""


@dataclass(frozen=True, eq=False)
class _Design:
    """What a split is made of; units are runs or participants."""

    codes: Indices
    units: Indices
    n_folds: int | None
    test_share: float
    seed: np.random.SeedSequence
    unit_names: Sequence[str] | None
    class_names: Sequence[str] | None
    usable: Usable | None

    def usable_beside(self, test: Indices) -> NDArray[np.bool_]:
        """Return which volumes may be trained on or validate where some are tested."""
        return np.ones(len(self.codes), bool) if self.usable is None else self.usable(test)

    def unit_name(self, unit: int) -> str:
        return str(unit) if self.unit_names is None else self.unit_names[unit]

    def class_list(self, codes: NDArray[Any]) -> str:
        names = self.class_names
        return ", ".join(str(code) if names is None else names[code] for code in codes)


def make_folds(
    scheme: str,
    codes: NDArray[Any],
    participants: NDArray[Any],
    runs: NDArray[Any],
    *,
    n_folds: int | None,
    test_share: float,
    seed: np.random.SeedSequence,
    unit_names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    usable: Usable | None = None,
) -> list[Fold]:
    """Divide volumes into training, validation and test parts.

    Parameters
    ----------
    scheme : {'runs', 'participants', 'random'}
        See the module. `runs`: the validation part is one more run, another one in every fold.
        `participants`: they are dealt into groups at random, and some of the others validate.
        `random`: volumes of every class are drawn, first for the test, then for the validation.
    codes, participants, runs : ndarray of int, shape (n_volumes,)
    n_folds : int or None
        Groups of neighbouring runs (None: every run is held out alone), groups of participants
        (None: five, or as many as there are participants), or repeats of the random split
        (None: one).
    test_share : float
        Share of the volumes that the random split tests; in all schemes but `runs`, where it is one
        run, also the share of the rest that validates.
    seed : SeedSequence
        Of the random split, and of the groups of participants.
    unit_names : sequence of str, optional
        Names of runs or participants by their codes, for the names of folds.
    class_names : sequence of str, optional
        Names of classes by their codes, for errors.
    usable : callable, optional
        Takes the rows of tested volumes and returns which volumes, (n_volumes,) bool, may be
        trained on or validate beside them; not for the random split.

    Returns
    -------
    list of Fold
        In `runs` and `participants` every volume is tested once.

    Raises
    ------
    ValueError
        If there are too few runs, participants or volumes, or a class is missing from a training
        part whatever is chosen for validation.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"no split called {scheme!r}, there is: {', '.join(SCHEMES)}")
    if not 0 < test_share < 1:
        raise ValueError(f"test_share must be between 0 and 1, found {test_share:g}")
    units = participants if scheme == "participants" else runs
    design = _Design(
        codes=np.asarray(codes, dtype=np.int64),
        units=np.asarray(units, dtype=np.int64),
        n_folds=n_folds,
        test_share=test_share,
        seed=seed,
        unit_names=unit_names,
        class_names=class_names,
        usable=usable,
    )
    return _SPLITTERS[scheme](design)


def _by_run(design: _Design) -> list[Fold]:
    units = np.unique(design.units)
    n_folds = len(units) if design.n_folds is None else design.n_folds
    return _hold_out(design, _groups(units, n_folds, "runs"), lambda n_rest: 1)


def _by_participant(design: _Design) -> list[Fold]:
    units = np.random.default_rng(design.seed).permutation(np.unique(design.units))
    n_folds = min(MAX_FOLDS, len(units)) if design.n_folds is None else design.n_folds
    groups = [np.sort(group) for group in _groups(units, n_folds, "participants")]
    return _hold_out(design, groups, lambda n_rest: _share(design.test_share, n_rest, n_rest - 1))


def _groups(units: Indices, n_folds: int, words: str) -> list[Indices]:
    """Divide units, in the order given, into groups of sizes that differ by at most one."""
    if len(units) < FEWEST:
        raise ValueError(
            f"a split by {words} needs at least {FEWEST} of them, to train, to validate and to "
            f"test; found {len(units)}"
        )
    if not 2 <= n_folds <= len(units):
        raise ValueError(
            f"{len(units)} {words} can be held out in 2 to {len(units)} groups, found {n_folds}"
        )
    groups = np.array_split(units, n_folds)
    if len(units) - len(groups[0]) < 2:
        raise ValueError(
            f"{n_folds} groups of {len(units)} {words} leave one to train and to validate; more "
            "groups are needed"
        )
    return groups


def _share(share: float, n: int, most: int) -> int:
    """Return a share of n things, at least one and at most ``most``."""
    return int(np.clip(np.floor(share * n + 0.5), 1, most))


def _hold_out(
    design: _Design, groups: Sequence[Indices], n_validation: Callable[[int], int]
) -> list[Fold]:
    """Hold out every group of units; those that follow it, in a ring, validate."""
    folds = []
    for number, group in enumerate(groups):
        rest = np.concatenate([*groups[number + 1 :], *groups[:number]])
        name = "+".join(map(design.unit_name, group))
        if len(group) > MOST_NAMED:
            name = f"group {number + 1}"
        test = np.flatnonzero(np.isin(design.units, group)).astype(np.int64)
        usable = design.usable_beside(test)
        validation = _validation_units(design, name, rest, n_validation(len(rest)), usable)
        validates = np.isin(design.units, validation)
        trains = np.isin(design.units, np.setdiff1d(rest, validation))
        train, validation = (
            np.flatnonzero(part & usable).astype(np.int64) for part in (trains, validates)
        )
        folds.append(Fold(name, train, validation, test))
    return folds


def _validation_units(
    design: _Design, name: str, rest: Indices, n: int, usable: NDArray[np.bool_]
) -> Indices:
    """Return the first n units that validate and whose loss leaves every class to train on."""
    every = missing = np.unique(design.codes)
    rings = [np.roll(rest, -start) for start in range(len(rest))]
    rings = [ring for ring in rings if usable[np.isin(design.units, ring[:n])].any()]
    if not rings:
        raise ValueError(f"fold {name}: everything borders on the test part, nothing can validate")
    for ring in rings:
        trained = np.unique(design.codes[np.isin(design.units, ring[n:]) & usable])
        lacking = np.setdiff1d(every, trained)
        if not len(lacking):
            return ring[:n]
        missing = lacking if len(lacking) < len(missing) else missing
    beside = "" if usable.all() else ", and what borders on the test part,"
    raise ValueError(
        f"fold {name}: without the test and the validation part{beside} nothing is left to train "
        f"on for class {design.class_list(missing)}; every class has to be in more parts of the "
        "data"
    )


def _by_volume(design: _Design) -> list[Fold]:
    classes, counts = np.unique(design.codes, return_counts=True)
    rare = classes[counts < FEWEST]
    if not len(classes) or len(rare):
        raise ValueError(
            f"a random split needs at least {FEWEST} volumes of every class; class "
            f"{design.class_list(rare)} has fewer"
        )
    n_folds = 1 if design.n_folds is None else design.n_folds
    if n_folds < 1:
        raise ValueError(f"at least one random split is needed, found {n_folds}")
    return [_draw_fold(design, number) for number in range(n_folds)]


def _draw_fold(design: _Design, number: int) -> Fold:
    rng = np.random.default_rng(child_seed(design.seed, number))
    every = np.arange(len(design.codes), dtype=np.int64)
    test = _draw(design, every, 2, rng)
    rest = np.setdiff1d(every, test)
    validation = _draw(design, rest, 1, rng)
    return Fold(f"repeat {number + 1}", np.setdiff1d(rest, validation), validation, test)


def _draw(design: _Design, among: Indices, left: int, rng: np.random.Generator) -> Indices:
    """Draw a share of the volumes of every class; ``left`` of them, at least, are not drawn."""
    drawn = []
    for code in np.unique(design.codes):
        rows = among[design.codes[among] == code]
        n = _share(design.test_share, len(rows), len(rows) - left)
        drawn.append(rng.permutation(rows)[:n])
    return np.sort(np.concatenate(drawn))


_SPLITTERS: Mapping[str, Callable[[_Design], list[Fold]]] = {
    "runs": _by_run,
    "participants": _by_participant,
    "random": _by_volume,
}
