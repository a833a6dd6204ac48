"""What decoding within and across tasks of one participant finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.analysis import Region
from bidsface_decoding.conditions import KEPT, Condition, Setting, permutation_column
from bidsface_decoding.crossmodal_plan import CrossPlan
from bidsface_decoding.options import MOTION
from bidsface_decoding.plan import Problem
from bidsface_decoding.task import Outcome


@dataclass(frozen=True, eq=False)
class TaskRegion:
    """A region, which may be another set of voxels in every task.

    Attributes
    ----------
    name : str
    columns : mapping of task to ndarray of int
    shared : bool
        Whether it is the same set of voxels in all tasks.
    """

    name: str
    columns: Mapping[str, NDArray[np.intp]]
    shared: bool = True

    @classmethod
    def same(cls, region: Region, tasks: Sequence[str]) -> TaskRegion:
        """Return a region that is the same in all tasks."""
        return cls(region.name, dict.fromkeys(tasks, region.columns))


@dataclass(frozen=True, eq=False, kw_only=True)
class CrossOutcome(Outcome):
    """Scores of one classifier in one region and condition, and their p-values.

    Attributes
    ----------
    condition : Condition
    motion : str
        ``kept``, or ``regressed`` where head motion was regressed out of the samples.
    """

    condition: Condition
    motion: str = KEPT

    @property
    def setting(self) -> Setting:
        """What a correction over regions counts together."""
        control = self.roi_name == MOTION
        return Setting(self.condition, self.estimator, self.samples, self.motion, control)

    @property
    def test_name(self) -> str:
        """Column of the table of permutations."""
        return permutation_column(self.setting, self.roi_name)


@dataclass(frozen=True, eq=False)
class CrossDecoding:
    """Everything that was found in a participant.

    Attributes
    ----------
    plan : CrossPlan
    outcomes : sequence of CrossOutcome
        By kind of samples, motion, classifier and condition; the motion parameters come last.
    displacement : mapping of task to float
        Mean framewise displacement (mm); empty where it was not asked for.
    warnings : sequence of str
    """

    plan: CrossPlan
    outcomes: Sequence[CrossOutcome]
    displacement: Mapping[str, float]
    warnings: Sequence[str]

    def problem(self, outcome: CrossOutcome) -> Problem:
        """Return the folds and classes of an outcome's test samples."""
        one = outcome.condition
        problem = self.plan.problems[outcome.samples]
        return problem.direction(one.train_task, one.test_task, one.is_realigned)

    @property
    def conditions(self) -> list[Condition]:
        """Conditions that were tested, within tasks first."""
        return list(dict.fromkeys(outcome.condition for outcome in self.outcomes))
