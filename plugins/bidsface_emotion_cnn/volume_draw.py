"""Which held-out volumes are occluded: some to be shown, some to be tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.seeds import child_seed

Codes = NDArray[np.integer]
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class DrawnVolumes:
    """Volumes to occlude, as rows of the probabilities, ascending.

    A volume that was chosen for a high probability loses some of it whatever is emptied, as
    anything chosen for being extreme does. Whether a place matters can therefore only be tested in
    volumes that were drawn whatever the network says of them.

    Attributes
    ----------
    shown : ndarray of int64
        Volumes that the network recognizes, for maps and what is made of them.
    tested : ndarray of int64
        Volumes drawn without regard to what the network says of them, for p.
    notes : tuple of str
        Classes with fewer volumes than were wanted, in words.
    """

    shown: Rows
    tested: Rows
    notes: tuple[str, ...]

    @property
    def rows(self) -> Rows:
        """All of them, each once, ascending."""
        return np.union1d(self.shown, self.tested)


def draw_volumes(
    probabilities: NDArray[np.floating],
    codes: Codes,
    per_class: int = 10,
    above: float = 0.8,
    *,
    seed: np.random.SeedSequence,
    participants: Codes | None = None,
    classes: Sequence[str] | None = None,
) -> DrawnVolumes:
    """Draw volumes of every class, evenly from participants.

    There is one random order of the volumes of a class. The first ones are tested; the first ones
    of those that the network classifies correctly and with confidence are shown, so that many are
    both. Participants take turns, so that each gives as many volumes as the others as long as it
    has them.

    Parameters
    ----------
    probabilities : ndarray of shape (n_volumes, n_classes)
        Of a network that was not trained on the volumes.
    codes : ndarray of shape (n_volumes,), int
        True classes.
    per_class : int
        Volumes wanted of each class, shown and tested.
    above : float
        The probability of the true class has to exceed it in volumes that are shown.
    seed : SeedSequence
    participants : ndarray of shape (n_volumes,), int, optional
        Whose volumes they are; None for one participant's.
    classes : sequence of str, optional
        Names, for the notes.
    """
    people = np.zeros(len(codes), dtype=np.int64) if participants is None else participants
    names = classes or [f"class {code}" for code in range(probabilities.shape[1])]
    own = probabilities[np.arange(len(codes)), codes]
    sure = (probabilities.argmax(axis=1) == codes) & (own > above)
    shown: list[NDArray[np.intp]] = []
    tested: list[NDArray[np.intp]] = []
    notes = []
    for code, name in enumerate(names):
        generator = np.random.default_rng(child_seed(seed, code))
        order = generator.permutation(np.flatnonzero(codes == code))
        ranks = generator.permutation(int(people.max()) + 1 if len(people) else 0)
        tested.append(_in_turns(order, people, ranks)[:per_class])
        shown.append(_in_turns(order[sure[order]], people, ranks)[:per_class])
        notes += _few(name, len(shown[-1]), len(tested[-1]), per_class, above)
    return DrawnVolumes(_ascending(shown), _ascending(tested), tuple(notes))


def _in_turns(order: NDArray[np.intp], people: Codes, ranks: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return volumes so that participants, in the order of their ranks, take turns."""
    owners = people[order]
    turn = np.empty(len(order), dtype=np.intp)
    for person in np.unique(owners):
        turn[owners == person] = np.arange(np.count_nonzero(owners == person))
    return order[np.lexsort((ranks[owners], turn))]


def _ascending(parts: Sequence[NDArray[np.intp]]) -> Rows:
    return np.sort(np.concatenate(parts)).astype(np.int64)


def _few(name: str, n_shown: int, n_tested: int, wanted: int, above: float) -> list[str]:
    notes = []
    if n_shown < wanted:
        notes.append(
            f"{name}: maps show {n_shown} instead of {wanted} volumes, since no more are "
            f"classified correctly with a probability above {above:g}"
        )
    if n_tested < wanted:
        notes.append(
            f"{name}: drops are tested in {n_tested} instead of {wanted} volumes, since there are "
            "no more"
        )
    return notes
