"""Composite scores of action units: one number for the expression of a trial."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bidsface.errors import InputError
from bidsface_facs.aggregations import AMOUNTS, FREQUENCIES, Aggregation, Frequency
from bidsface_facs.formulas import Formula
from bidsface_facs.merged_units import absent_members, complete, lacks, parts_of, strongest
from bidsface_facs.unit_names import UnitName, parse_unit
from bidsface_facs.unit_table import Bools, CodedTrials, Floats, UnitTable

PAIN_UNITS = ("AU04", "AU06_07", "AU09_10", "AU25_26_27")
"""The units that pain moves (Kunz et al. 2011; Picard 2021), merged where they look alike."""


@dataclass(frozen=True, eq=False)
class Series:
    """What a composite needs of every row.

    Attributes
    ----------
    values : ndarray of shape (n_series, n_rows)
        Intensities of the composite's units, or the composite itself; NaN where unknown.
    present : ndarray of shape (n_series, n_rows)
        1 where they count as present, 0 where they do not, NaN where that is unknown.
    notes : tuple of str
        What had to be assumed.
    """

    values: Floats
    present: Floats
    notes: tuple[str, ...] = ()

    @property
    def known(self) -> Bools:
        """Rows where nothing is missing, (n_rows,)."""
        return np.asarray(np.isfinite(self.values + self.present).all(axis=0))


class Composite(ABC):
    """A way to turn the action units of a trial into one score."""

    @abstractmethod
    def series(self, units: UnitTable) -> Series:
        """Return what is needed of every row.

        Raises
        ------
        InputError
            If the table lacks a unit, or its scale does not fit.
        """

    @abstractmethod
    def score(self, values: Floats, present: Bools, time: Floats, length: float) -> float:
        """Return the score of one trial.

        Parameters
        ----------
        values, present : ndarray of shape (n_series, n_frames)
            Series of the trial's usable frames, at least one.
        time : ndarray of shape (n_frames,)
            s.
        length : float
            s; of the trial's window.
        """

    @abstractmethod
    def coded(self, units: CodedTrials) -> tuple[Floats, tuple[str, ...]]:
        """Return the scores (n_rows,) of trials that were coded as a whole, and notes.

        Raises
        ------
        InputError
            If the table lacks a unit, or its scale does not fit.
        """


@dataclass(frozen=True)
class FrequencyIntensity(Composite):
    """Sum over units of how often they are present times their mean intensity while they are.

    A merged unit is as strong as the strongest of its members, and present where one of them is.
    The publications take what coders counted in a trial, to which ``episodes`` (stretches of
    contiguous presence) comes closest; ``share`` (of frames) does not depend on how often a
    detector flickers.

    Of trials that were coded as a whole, frequency and intensity are columns, whatever
    ``frequency`` says; of a merged unit whose members were coded apart, the member with the larger
    product counts, as it cannot be known when they moved together.

    Attributes
    ----------
    units : tuple of str
        Such as ``AU04`` or ``AU06_07``.
    frequency : {"episodes", "share"}
    presence_threshold : float or None
        See `UnitTable.presence_of`.
    shortest_pause : float
        s; presence that pauses for less is one episode.

    References
    ----------
    Kunz, Chen, Lautenbacher, Vachon-Presseau, Rainville (2011), J Neurosci 31:8730-8738;
    Picard (2021), The face of pain: predicting the facial expression of pain from fMRI data.
    """

    units: tuple[str, ...] = PAIN_UNITS
    frequency: Frequency = "episodes"
    presence_threshold: float | None = None
    shortest_pause: float = 0.0

    def series(self, units: UnitTable) -> Series:
        """Return the intensity and the presence of every unit."""
        values, present, notes = [], [], []
        for name in self.units:
            parts, lacking = _merged(units, parse_unit(name), units.intensity)
            states = {part: units.presence_of(part, self.presence_threshold) for part in parts}
            values.append(strongest(units.intensity, parts))
            present.append(strongest(states, parts))
            notes.extend(lacking)
        return Series(np.array(values), np.array(present), tuple(notes))

    def score(self, values: Floats, present: Bools, time: Floats, length: float) -> float:
        """Return the sum over units of frequency times mean intensity where present."""
        often = FREQUENCIES[self.frequency]
        products = (
            often(seen, time, self.shortest_pause) * float(intensity[seen].mean())
            for intensity, seen in zip(values, present, strict=True)
            if seen.any()
        )
        return float(sum(products))

    def coded(self, units: CodedTrials) -> tuple[Floats, tuple[str, ...]]:
        """Return the sum over units of the coders' frequency times their intensity."""
        total = np.zeros(units.n_rows)
        notes: list[str] = []
        for name in self.units:
            wanted = parse_unit(name)
            both = {
                part: units.frequency[part] for part in units.frequency if part in units.intensity
            }
            parts, lacking = _merged(units, wanted, both, "frequency and intensity")
            # What was never seen has no intensity, and counts for nothing all the same.
            products = {
                part: np.where(both[part] == 0, 0.0, both[part] * units.intensity[part])
                for part in parts
            }
            total += strongest(products, parts)
            notes.extend(lacking)
            if len(parts) > 1:
                notes.append(
                    f"{units.source}: {', '.join(parts)} were coded apart, and of {wanted.text} "
                    "the larger product of frequency and intensity was taken"
                )
        return total, tuple(notes)


@dataclass(frozen=True)
class Rowwise(Composite):
    """A composite that every frame has, aggregated over the frames of a trial.

    Attributes
    ----------
    formula : Formula or None
        None for the Prkachin and Solomon pain intensity (`pspi`).
    aggregation : {"mean", "max", "share", "episodes", "area"}
        Of the frames' values: mean; largest; share above the threshold; number of contiguous
        stretches above it; mean times the length of the window (s).
    threshold : float
        For ``share`` and ``episodes``.
    shortest_pause : float
        s; what falls to the threshold or below for less is one episode.
    """

    formula: Formula | None
    aggregation: Aggregation = "mean"
    threshold: float = 0.0
    shortest_pause: float = 0.0

    def series(self, units: UnitTable) -> Series:
        """Return the composite and where it is above the threshold."""
        values, notes = pspi(units) if self.formula is None else evaluate(self.formula, units)
        present = np.where(np.isnan(values), np.nan, values > self.threshold)
        return Series(values[None], present[None], notes)

    def score(self, values: Floats, present: Bools, time: Floats, length: float) -> float:
        """Return the aggregate of the frames' values."""
        if self.aggregation in FREQUENCIES:
            return FREQUENCIES[self.aggregation](present[0], time, self.shortest_pause)
        return AMOUNTS[self.aggregation](values[0], length)

    def coded(self, units: CodedTrials) -> tuple[Floats, tuple[str, ...]]:
        """Return the composite itself: a trial coded as a whole has one value."""
        if self.aggregation not in ("mean", "max"):
            raise InputError(
                f"{units.source}: wanted a table of frames, of which {self.aggregation} is taken, "
                "found one row per trial; there the option aggregation has to be mean or max"
            )
        series = self.series(units)
        return series.values[0], series.notes


def pspi(units: UnitTable) -> tuple[Floats, tuple[str, ...]]:
    """Return the Prkachin and Solomon pain intensity of every row (n_rows,), and notes.

    AU4 + max(AU6, AU7) + max(AU9, AU10) + AU43, the last one 0 or 1: 0 to 16. Where a table has no
    AU43 (eyes closed), as OpenFace's, the presence of AU45 (blink) stands in.

    Raises
    ------
    InputError
        If a unit is missing, or intensities are not of 0-5.

    References
    ----------
    Prkachin, Solomon (2008), Pain 139:267-274.
    """
    if units.scale != "0-5":
        raise InputError(
            f"{units.source}: pspi wants intensities of 0-5, found a scale of {units.scale}, like "
            "a probability; the option calibration says where intensities 1 to 5 begin on it"
        )
    brow, eyes, nose = (
        complete(units, UnitName(members), "pspi") for members in ((4,), (6, 7), (9, 10))
    )
    known = {*units.presence, *units.intensity}
    closed = next((name for name in ("AU43", "AU45") if name in known), None)
    if closed is None:
        raise lacks(units, "AU43, or AU45 in its place", "pspi")
    note = (
        f"{units.source}: there is no AU43 (eyes closed), and the presence of AU45 (blink) stood in"
    )
    return brow + eyes + nose + units.presence_of(closed), () if closed == "AU43" else (note,)


def evaluate(formula: Formula, units: UnitTable) -> tuple[Floats, tuple[str, ...]]:
    """Return a formula's value in every row (n_rows,), and notes.

    Raises
    ------
    InputError
        If the table lacks a unit of the formula.
    """
    purpose = f"the formula {formula.text!r}"

    def value(unit: UnitName) -> Floats:
        if unit.kind == "intensity":
            return complete(units, unit, purpose)
        if unit.text not in units.presence and unit.text not in units.intensity:
            raise lacks(units, unit.text, purpose)
        return units.presence_of(unit.text)

    return formula.evaluate(value), ()


def _merged(
    units: UnitTable, wanted: UnitName, values: Mapping[str, Floats], what: str = "intensity"
) -> tuple[list[str], list[str]]:
    """Return the parts of a unit that a table has, and notes on members that it lacks."""
    parts = parts_of(wanted, values)
    if not parts:
        raise lacks(units, f"the {what} of {wanted.text}", "frequency_intensity")
    absent = ", ".join(absent_members(wanted, parts))
    made = f"{wanted.text} was made of {', '.join(parts)}"
    return parts, [f"{units.source}: there is no {absent}, and {made}"] if absent else []
