"""Which participants are held out: always whole ones, with all of their images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import (
    BaseCrossValidator,
    BaseShuffleSplit,
    GroupKFold,
    GroupShuffleSplit,
    LeaveOneGroupOut,
)

Indices = NDArray[np.intp]
Names = NDArray[Any]
Split = tuple[Indices, Indices]
"""Rows of the images to train on, and of those to test on."""


class Splitter(ABC):
    """A way to hold out participants."""

    @abstractmethod
    def _splitter(self, n_participants: int) -> BaseCrossValidator | BaseShuffleSplit:
        """Return scikit-learn's splitter."""

    def split(self, participants: Names) -> list[Split]:
        """Return training and test images of every fold.

        Parameters
        ----------
        participants : ndarray of shape (n_images,)
            Participant of every image.

        Raises
        ------
        ValueError
            If there are fewer participants than the split needs.
        """
        n_participants = len(np.unique(participants))
        if n_participants < 2:
            raise ValueError(
                f"at least 2 participants are needed to hold one out, found {n_participants}"
            )
        blank = np.empty((len(participants), 0))
        found = self._splitter(n_participants).split(blank, groups=participants)
        return [(np.asarray(train), np.asarray(test)) for train, test in found]


@dataclass(frozen=True)
class GroupShuffle(Splitter):
    """Random sets of participants; some participants may never be held out.

    Attributes
    ----------
    n_splits : int
    test_size : float
        Share of the participants that are held out.
    random_state : int
    """

    n_splits: int = 5
    test_size: float = 0.3
    random_state: int = 42

    def _splitter(self, n_participants: int) -> BaseShuffleSplit:
        n_held_out = int(np.ceil(self.test_size * n_participants))
        if n_held_out >= n_participants:
            raise ValueError(
                f"holding out {self.test_size:g} of {n_participants} participants leaves none to "
                "train on"
            )
        return GroupShuffleSplit(
            self.n_splits, test_size=self.test_size, random_state=self.random_state
        )


@dataclass(frozen=True)
class GroupFolds(Splitter):
    """Every participant is held out once, in groups.

    Attributes
    ----------
    n_splits : int
    random_state : int or None
        Seed by which participants are dealt into groups, whatever their numbers of images; None for
        groups with similar numbers of images.
    """

    n_splits: int = 5
    random_state: int | None = None

    def _splitter(self, n_participants: int) -> BaseCrossValidator:
        if n_participants < self.n_splits:
            raise ValueError(
                f"{self.n_splits} groups of participants need as many participants, "
                f"found {n_participants}"
            )
        if self.random_state is None:
            return GroupKFold(self.n_splits)
        return GroupKFold(self.n_splits, shuffle=True, random_state=self.random_state)


@dataclass(frozen=True)
class LeaveOneParticipantOut(Splitter):
    """Every participant is held out once, alone."""

    def _splitter(self, n_participants: int) -> BaseCrossValidator:
        return LeaveOneGroupOut()


def inner_splits(
    splits: Sequence[Split], participants: Names, splitter: Splitter
) -> list[list[Split]]:
    """Split the training images of every fold once more; rows are those of all images.

    Parameters
    ----------
    splits : sequence of (train, test)
    participants : ndarray of shape (n_images,)
    splitter : Splitter

    Raises
    ------
    ValueError
        If a training part has fewer participants than the split needs.
    """
    return [
        [(train[inner], train[held_out]) for inner, held_out in splitter.split(participants[train])]
        for train, _ in splits
    ]


def never_tested(splits: Sequence[Split], participants: Names) -> Names:
    """Return the participants that no fold holds out."""
    tested = np.concatenate([participants[test] for _, test in splits])
    return np.setdiff1d(participants, tested)
