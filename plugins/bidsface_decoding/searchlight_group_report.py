"""What people see of a group's searchlight: figures, peaks and findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.analysis import Figure, Summary, Voxels
from bidsface.figures import slices
from bidsface.numerics.map_tests import MapTest
from bidsface.numerics.prevalence import Prevalence
from bidsface_decoding import searchlight_report
from bidsface_decoding.report import chance_text
from bidsface_decoding.searchlight import SearchlightOptions
from bidsface_decoding.searchlight_maps import Direction


@dataclass(frozen=True, eq=False)
class GroupMaps:
    """Maps of one direction over participants.

    Attributes
    ----------
    direction : Direction
    labels : sequence of str
        Participants.
    voxels : Voxels
        Those that all of them have.
    mean : ndarray of shape (n_voxels,)
    chance : float
        Mean of the participants' chance levels.
    test : MapTest or None
        Of the mean; None with one participant or without permutations.
    smallest : MapTest or None
        Of the smallest score.
    prevalence : Prevalence or None
    entities : mapping
    """

    direction: Direction
    labels: Sequence[str]
    voxels: Voxels
    mean: NDArray[np.float64]
    chance: float
    test: MapTest | None
    smallest: MapTest | None
    prevalence: Prevalence | None
    entities: dict[str, str]


def largest_prevalence(prevalence: Prevalence) -> str:
    """Return the largest prevalence that can be shown."""
    reachable = prevalence.largest_gamma
    return "0" if np.isnan(reachable) else f"{reachable:.2f}"


def figures_of(
    one: GroupMaps, background: NDArray[np.float32] | None, options: SearchlightOptions
) -> list[Figure]:
    """Return the mean map, and the map of the prevalence if there is anything on it."""
    entities = {**one.entities, "contrast": one.direction.contrast}
    title = f"Searchlight {one.direction.title}, mean of {len(one.labels)} participants"
    figures = [
        searchlight_report.score_figure(
            one.mean, one.chance, one.test, one.voxels, title, entities, options, background
        )
    ]
    if one.prevalence is not None and np.isfinite(one.prevalence.gamma).any():
        title = f"Searchlight {one.direction.title}: prevalence"
        drawing = slices(
            one.prevalence.gamma,
            one.voxels,
            title,
            background=background,
            label="prevalence above",
            symmetric=False,
        )
        caption = (
            "With 95 % confidence, corrected over voxels, more than this part of the population "
            f"has the effect. At most {largest_prevalence(one.prevalence)} can be shown with "
            f"{len(one.labels)} participants. Voxels without colour: no effect is shown in anyone."
        )
        figures.append(Figure("prevalence", drawing, title, caption, entities))
    return figures


def summary(one: GroupMaps, options: SearchlightOptions) -> Summary:
    """Return the peaks of a direction."""
    columns: dict[str, NDArray[np.floating]] = {}
    caption = (
        f"Mean of {len(one.labels)} participants; peaks at least {2 * options.radius:g} mm apart; "
        f"{chance_text(one.chance)}."
    )
    if one.test is not None:
        columns = {"p": one.test.p, "p (FWE)": one.test.p_fwe}
        caption += f" Smallest p that can be reached: {one.test.smallest_p:.3g}."
    if one.prevalence is not None:
        columns |= {
            "Prevalence above": one.prevalence.gamma,
            f"p (prevalence ≤ {one.prevalence.gamma0:g})": one.prevalence.p_fwe,
        }
        caption += f" Largest prevalence that can be shown: {largest_prevalence(one.prevalence)}."
    frame = searchlight_report.peak_rows(one.mean, one.voxels, options, columns)
    return Summary(f"Searchlight {one.direction.title}", frame, caption)


def highlights(one: GroupMaps, options: SearchlightOptions) -> list[str]:
    """Return what was found in a direction."""
    title = f"{one.direction.title} ({len(one.labels)} participants)"
    text = searchlight_report.sentence(title, one.mean, one.chance, one.test, one.voxels, options)
    if one.prevalence is None:
        return [text]
    shown = one.prevalence.gamma[np.isfinite(one.prevalence.gamma)]
    if not len(shown):
        return [text, f"Searchlight {title}: no voxel shows an effect in every participant."]
    n = int((shown >= one.prevalence.gamma0).sum())
    return [
        text,
        f"Searchlight {title}: the effect is in more than {shown.max():.0%} of the population at "
        f"best; in {n:,} voxels in more than {one.prevalence.gamma0:.0%} (corrected).",
    ]
