"""Conditions of cross-modal decoding: trained on which task, tested on which, aligned by what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from bidsface_decoding.crossmodal_options import NO_ALIGNER

KEPT, REGRESSED = "kept", "regressed"
"""Stand in column ``motion``: samples as they are, or with head motion regressed out."""

CONDITION_COLUMNS = ("train_task", "test_task", "aligner")


@dataclass(frozen=True, order=True)
class Condition:
    """One kind of classification.

    Attributes
    ----------
    train_task, test_task : str
    aligner : str
        Empty within a task, ``none`` across tasks without an aligner.
    """

    train_task: str
    test_task: str
    aligner: str = ""

    @classmethod
    def of(cls, row: Mapping[str, object]) -> Condition:
        """Return the condition of a row of a table; a missing aligner means within a task."""
        aligner = row["aligner"]
        known = "" if pd.isna(aligner) else str(aligner)  # type: ignore[call-overload]
        return cls(str(row["train_task"]), str(row["test_task"]), known)

    @property
    def is_within(self) -> bool:
        """Whether trained and tested on the same task."""
        return self.train_task == self.test_task

    @property
    def is_realigned(self) -> bool:
        """Whether an aligner maps the test samples into the training task's space."""
        return not self.is_within and self.aligner != NO_ALIGNER

    @property
    def direction(self) -> str:
        """The tasks in words."""
        if self.is_within:
            return f"within {self.train_task}"
        return f"{self.train_task} to {self.test_task}"

    @property
    def words(self) -> str:
        """The condition in words."""
        return (
            f"{self.direction}, realigned ({self.aligner})" if self.is_realigned else self.direction
        )

    @property
    def label(self) -> str:
        """The condition in letters and digits, for a file's name."""
        parts = [self.train_task, "to", self.test_task, self.aligner if self.is_realigned else ""]
        return camel_case(*parts)

    @property
    def columns(self) -> dict[str, object]:
        """The condition as columns of a table: a missing aligner is NaN."""
        aligner: object = self.aligner or float("nan")
        return {"train_task": self.train_task, "test_task": self.test_task, "aligner": aligner}

    def without_aligner(self) -> Condition:
        """Return the same tasks without an aligner."""
        return self if self.is_within else replace(self, aligner=NO_ALIGNER)


def permutation_column(setting: Setting, region: str) -> str:
    """Return the name of a test's column in the table of permutations."""
    condition = setting.condition
    direction = f"{condition.train_task}to{condition.test_task}"
    aligner = (condition.aligner,) if condition.is_realigned else ()
    return "_".join((setting.samples, setting.estimator, direction, *aligner, region))


def camel_case(first: str, *others: str) -> str:
    """Join names to one of letters and digits."""
    start, *words = [
        word for name in (first, *others) for word in re.findall(r"[0-9a-zA-Z]+", name)
    ]
    return start + "".join(word[:1].upper() + word[1:] for word in words)


@dataclass(frozen=True, order=True)
class Setting:
    """What the regions of one family have in common.

    Attributes
    ----------
    condition : Condition
    estimator, samples : str
        Names in the recipe.
    motion : str
        ``kept`` or ``regressed``.
    control : bool
        Whether this is decoding from the head-motion parameters alone.
    """

    condition: Condition
    estimator: str
    samples: str
    motion: str = KEPT
    control: bool = False

    @property
    def keys(self) -> dict[str, str]:
        """The setting as columns of a table; the aligner is empty within a task."""
        return {
            "estimator": self.estimator,
            "samples": self.samples,
            "motion": self.motion,
            "train_task": self.condition.train_task,
            "test_task": self.condition.test_task,
            "aligner": self.condition.aligner,
        }

    @property
    def label(self) -> str:
        """Condition, samples and classifier in letters and digits, for a file's name."""
        return camel_case(self.condition.label, self.samples, self.estimator)
