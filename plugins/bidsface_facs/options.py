"""Options of the analysis ``facs``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from bidsface.analysis import AnalysisOptions
from bidsface_facs.action_unit_options import ActionUnitOptions

Label = Annotated[str, Field(pattern=r"^[0-9a-zA-Z]+$")]


class ImageInput(AnalysisOptions):
    """The voxels that a model sees."""

    region: str
    """Name of a region of the recipe."""
    without: tuple[str, ...] = ()
    """Regions whose voxels are left out of it."""


class TableSource(AnalysisOptions):
    """Where tables beside events.tsv lie."""

    suffix: str
    """Suffix of the files, such as `beh` or `physio`; `phenotype/NAME` for the participant's rows
    of `phenotype/NAME.tsv`.
    """
    dataset: str | None = None
    """Name of the derivative data set (`--derivatives NAME=PATH`); null for the raw one."""
    entities: Mapping[str, str] = {}
    """Labels that the names must have, such as `{recording: face}`."""


class TargetTable(TableSource):
    """A table that holds the target."""

    key: str | None = None
    """Column that the table and events.tsv share, which tells whose value a row is; onsets may
    differ by 0.1 s. Null where rows are in the order of the events, or one row is for all.
    """


class ActionUnitTables(TableSource, ActionUnitOptions):
    """Tables of action units, and how the target is computed from them."""

    suffix: str = "physio"
    """Suffix of the files."""


class FacsOptions(AnalysisOptions):
    """What is predicted, from which voxels, how, and how it is tested."""

    tasks: tuple[str, ...] = ()
    """Tasks whose events are used, pooled; empty means every task."""
    samples: str | None = None
    """Kind of samples to use, by its name in the recipe; null for the first one."""
    target: str = "facs"
    """What to predict: a column of events.tsv (or of `target_table`), numbers, `n/a` where there is
    none. With `action_units` it is only the name.
    """
    target_table: TargetTable | None = None
    """Tables that hold the target, for when it does not stand in events.tsv."""
    action_units: ActionUnitTables | None = None
    """Tables of action units (OpenFace, py-feat, FaceReader, coders) to compute the target from."""
    covariates: tuple[str, ...] = ()
    """Further columns of events.tsv, numbers, such as the stimulus's temperature: what they predict
    is reported beside the brain's prediction, and partialled out of it.
    """
    inputs: Mapping[Label, ImageInput] = {}
    """Sets of voxels by name (letters and digits), such as
    `withoutm1: {region: brain, without: [m1]}`; empty means every region of the recipe.
    """
    standardize: Literal["image", "voxel", "none"] = "image"
    """Scale every image to mean 0 and standard deviation 1 over its voxels, or every voxel to those
    of the training images.
    """
    transform: Literal["none", "log1p", "rank"] = "log1p"
    """Of the target: `log1p` and `rank` (normal scores of the training values) tame a heavy tail.
    """
    variance: float | None = Field(0.8, gt=0, lt=1)
    """Share of the variance of the training images that principal components keep; null for all."""
    estimators: tuple[str, ...] = Field(("lasso", "ridge", "svr"), min_length=1)
    """Regressions on the components: `lasso`, `ridge`, `elastic_net`, `svr`, `pls`."""
    estimator_options: Mapping[str, Mapping[str, Any]] = {}
    """Options of some of them, with scikit-learn's names, such as `ridge: {alpha: 1.0}`; they hold
    where `tuning` does not choose others.
    """
    tuning: tuple[str, ...] = ("lasso", "ridge", "elastic_net", "pls")
    """Estimators whose penalty (or number of components) is chosen in every fold by
    cross-validation over the training participants; the others keep their options.
    """
    inner_splits: int = Field(5, ge=2)
    """Groups of training participants of that inner cross-validation."""
    validation: Literal["group-k-fold", "group-shuffle-split", "leave-one-participant-out"] = (
        "group-k-fold"
    )
    """Which participants are held out: every one once, in groups; random sets, of which some
    participants may never be part; or one at a time.
    """
    n_splits: int = Field(5, ge=2)
    """Number of groups, or of random sets."""
    test_size: float = Field(0.3, gt=0, lt=1)
    """Share of the participants in a random set."""
    split_seed: int = Field(42, ge=0)
    """Seed of the random sets, as scikit-learn's `random_state`; and of the folds of the classifier
    that tells data sets apart.
    """
    permutations: int = Field(5000, ge=0)
    """Permutations of the target; 0 for no test."""
    shuffles: tuple[Literal["within", "between", "both"], ...] = ("within", "between")
    """Null hypotheses to test: that images say nothing about the trials of a participant
    (`within`), about whose trials they are (`between`), or either (`both`).
    """
    test_metric: Literal["r2", "pearson", "spearman", "mae", "mse", "rmse"] = "r2"
    """Score that is tested."""
    bootstraps: int = Field(5000, ge=0)
    """Resamples of the participants, for z and p of the coefficients; 0 for none."""
    coefficient_sd: Literal["bootstrap", "larger"] = "larger"
    """Standard deviation that z divides by: that of the bootstrap, or in every voxel the larger one
    of bootstrap and jackknife. The bootstrap alone finds too much where the penalty is weak.
    """
    map_percentile: float = Field(99.0, ge=0, lt=100)
    """Percentile of the absolute mean coefficients from which on they stand in `stat-topweight` and
    in the interactive views, and in figures where there is no bootstrap.
    """
    dataset_column: str | None = None
    """Column of participants.tsv that tells data sets apart; null where there is one only."""
    train_dataset: str | None = None
    """Value of that column (as it stands there) of the participants to train on; the others are
    predicted. Needed with `dataset_column`.
    """
    shift_permutations: int = Field(1000, ge=0)
    """Exchanges of participants between data sets, to test the classifier that tells them apart."""

    @model_validator(mode="after")
    def _fit_together(self) -> FacsOptions:
        if self.bootstraps == 1:
            raise ValueError("bootstraps: 1 has no standard deviation; 0 for none")
        if (self.dataset_column is None) != (self.train_dataset is None):
            raise ValueError("dataset_column and train_dataset have to be given together")
        if self.target_table is not None and self.action_units is not None:
            raise ValueError(
                "the target comes from target_table or from action_units, not from both"
            )
        return self
