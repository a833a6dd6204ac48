"""Options of scores that are computed from tables of action units."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from bidsface.analysis import AnalysisOptions
from bidsface.errors import RecipeError
from bidsface_facs.action_unit_files import read_action_units
from bidsface_facs.action_units import ReadingOptions
from bidsface_facs.aggregations import Aggregation, Frequency
from bidsface_facs.calibration import EVERY, calibrate
from bidsface_facs.composites import PAIN_UNITS, Composite, FrequencyIntensity, Rowwise
from bidsface_facs.formulas import parse_formula
from bidsface_facs.trial_scores import TrialScores, score_trials
from bidsface_facs.unit_names import UnitName, parse_unit
from bidsface_facs.unit_table import ActionUnits, CodedTrials, Scale

Share = Annotated[float, Field(ge=0, le=1)]
FREQUENCY_INTENSITY = "frequency_intensity"
PSPI = "pspi"


class ActionUnitOptions(AnalysisOptions):
    """How the expression of a trial is told from the action units of its frames."""

    composite: str = FREQUENCY_INTENSITY
    """`frequency_intensity`: sum over units of how often they are present times how strong they
    then are on average. `pspi`: AU4 + max(AU6, AU7) + max(AU9, AU10) + AU43, 0 to 16. Or a formula
    of action units, such as `AU04 + max(AU06, AU07)`, with numbers, + - * /, parentheses, `max`,
    `min` and `mean`; `AU43_c` is 1 where the unit is present, `AU06_07` the stronger of two.
    """
    units: tuple[str, ...] = Field(PAIN_UNITS, min_length=1)
    """Units of `frequency_intensity`; merged ones (`AU01_02`, `AU06_07`, `AU09_10`, `AU25_26_27`)
    are as strong as the strongest of their members that a table has.
    """
    frequency: Frequency = "episodes"
    """How often, in `frequency_intensity`: number of contiguous stretches of presence in the trial,
    or share of its frames. Tables of coders who counted have their own.
    """
    presence_threshold: float | None = Field(None, gt=0)
    """Intensity from which on a unit is present in `frequency_intensity`; null for what the table
    says (as OpenFace's `AU04_c`), or else 1 on the scale 0-5 and 0.5 on the scale 0-1.
    """
    aggregation: Aggregation = "mean"
    """Of the frames of a trial, for `pspi` and formulas: mean, largest, share of frames above the
    threshold, number of contiguous stretches above it, or mean times the window's length in s.
    """
    threshold: float = 0.0
    """Of `share` and `episodes` in `aggregation`."""
    shortest_pause: float = Field(0.0, ge=0)
    """s; a stretch that is interrupted for less counts as one."""
    window: tuple[float, float | None] = (0.0, None)
    """Begin and end of what is scored, in s after the onset of a trial; an end of null is that of
    the trial.
    """
    lag: float = 0.0
    """s after the start of the run at which the table's clock starts; added to its times."""
    minimum_confidence: Share = 0.8
    """Of the face detector, for a frame to be used."""
    smallest_share: Share = 0.5
    """Share of a trial's frames that have to be usable for it to have a score."""
    sampling_frequency: float | None = Field(None, gt=0)
    """Frames per s; with it, times are counted by the numbers of the frames instead of read from
    the table. For tables without times in s or with a wrong clock; BIDS recordings state theirs.
    """
    longest_gap: float = Field(1.0, gt=0)
    """s without any frame that a table may have; more is taken for a damaged table."""
    scale: Scale | None = None
    """Of the intensities, for tables of coders, of FaceReader and in BIDS; null to tell it by the
    values. OpenFace's is 0-5, py-feat's 0-1.
    """
    calibration: Mapping[str, tuple[Share, Share, Share, Share, Share]] | None = None
    """Where on a scale of 0-1 the intensities 1 to 5 begin, by unit or for `all`, such as
    `all: [0.1, 0.3, 0.5, 0.7, 0.9]`; null for none. `pspi` needs intensities of 0-5.
    """

    @field_validator("composite")
    @classmethod
    def _is_composite(cls, value: str) -> str:
        if value not in (FREQUENCY_INTENSITY, PSPI):
            try:
                parse_formula(value)
            except RecipeError as error:
                raise ValueError(
                    f"neither {FREQUENCY_INTENSITY} nor {PSPI} nor a formula: {error}"
                ) from error
        return value

    @field_validator("units")
    @classmethod
    def _are_units(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        units = [_intensity_of(name) for name in value]
        members = [number for unit in units for number in unit.members]
        if len(set(members)) < len(members):
            raise ValueError("no action unit may count twice")
        return tuple(unit.text for unit in units)

    @field_validator("window")
    @classmethod
    def _is_window(cls, value: tuple[float, float | None]) -> tuple[float, float | None]:
        if value[1] is not None and value[1] <= value[0]:
            raise ValueError("the window has to end after it begins")
        return value

    @field_validator("calibration")
    @classmethod
    def _ascends(
        cls, value: Mapping[str, tuple[float, ...]] | None
    ) -> Mapping[str, tuple[float, ...]] | None:
        if value is None:
            return None
        if not value or any(sorted(set(begins)) != list(begins) for begins in value.values()):
            raise ValueError("five ascending numbers are wanted for every unit, or for `all`")
        return {
            name if name == EVERY else _intensity_of(name).text: begins
            for name, begins in value.items()
        }


def _intensity_of(name: str) -> UnitName:
    try:
        unit = parse_unit(name)
    except ValueError:
        unit = None
    if unit is None or unit.kind != "intensity":
        raise ValueError(f"{name!r} is no action unit, such as AU04 or AU06_07")
    return unit


def build_composite(options: ActionUnitOptions) -> Composite:
    """Return the composite that options ask for."""
    if options.composite == FREQUENCY_INTENSITY:
        return FrequencyIntensity(
            options.units, options.frequency, options.presence_threshold, options.shortest_pause
        )
    formula = None if options.composite == PSPI else parse_formula(options.composite)
    return Rowwise(formula, options.aggregation, options.threshold, options.shortest_pause)


def read_units(
    path: Path, options: ActionUnitOptions, metadata: Mapping[str, Any] | None = None
) -> ActionUnits | CodedTrials:
    """Read a table of action units as options say, calibrated where they ask for it.

    Parameters
    ----------
    path : Path
    options : ActionUnitOptions
    metadata : mapping or None
        Sidecar of a BIDS recording; see `read_action_units`.

    Raises
    ------
    InputError
        If the file or its content is not as it has to be.
    """
    reading = ReadingOptions(options.sampling_frequency, options.scale, options.longest_gap)
    units = read_action_units(path, reading, metadata)
    return units if options.calibration is None else calibrate(units, options.calibration)


def score_by_options(
    units: ActionUnits | CodedTrials,
    onsets: NDArray[np.float64],
    durations: NDArray[np.float64],
    options: ActionUnitOptions,
) -> TrialScores:
    """Score trials as options say; see `score_trials`."""
    return score_trials(
        units,
        onsets,
        durations,
        build_composite(options),
        window=options.window,
        lag=options.lag,
        minimum_confidence=options.minimum_confidence,
        smallest_share=options.smallest_share,
    )
