"""Similarities of a group's RDMs with models: values, tests, differences between models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidsface.numerics.rdm_comparison import (
    Comparison,
    compare_rdms,
    noise_ceiling,
    partial_similarities,
)
from bidsface.statistics import signed_rank_p, smallest_signed_rank_p
from bidsface_emotion_cnn.rsa import RsaOptions
from bidsface_emotion_cnn.rsa_cohort import Cohort, RegionRdms
from bidsface_emotion_cnn.rsa_participant import ALONE, GIVEN_OTHERS, compare_models

Floats = NDArray[np.float64]
Seeds = Callable[..., np.random.SeedSequence]


def similarities_of(
    rdms: Floats, models: Mapping[str, Floats], options: RsaOptions
) -> dict[tuple[str, str], Floats]:
    """Return every participant's similarity with models, by model and what is given."""
    found = {
        (name, ALONE): compare_rdms(rdms, model, options.statistic)
        for name, model in models.items()
    }
    if options.partial and len(models) > 1:
        for name, model in models.items():
            others = np.stack([own for key, own in models.items() if key != name])
            found[name, GIVEN_OTHERS] = partial_similarities(rdms, model, others, options.statistic)
    return found


def score_rows(
    cohort: Cohort,
    region: RegionRdms,
    values: Mapping[tuple[str, str], Floats],
    models: Mapping[str, Floats],
    interval: Comparison | None,
    options: RsaOptions,
    seed: Seeds,
) -> list[dict[str, Any]]:
    """Return a row per model and what is given, as `rsa_tables.GROUP_SCORE_COLUMNS` says.

    Parameters
    ----------
    cohort : Cohort
    region : RegionRdms
    values : mapping of (model, given) to ndarray of shape (n_participants,)
    models : mapping of str to ndarray of shape (n_pairs,)
    interval : Comparison or None
    options : RsaOptions
    seed : callable
        Random stream of some names.
    """
    # Regions share the orders of the classes.
    tests = compare_models(region.rdms, models, options, seed(cohort.task, "orders"))
    ceiling = noise_ceiling(region.rdms, options.statistic)
    rows = []
    for (model, given), own in values.items():
        place, alone = list(models).index(model), given == ALONE
        several = len(own) > 1
        test = tests[model, given]
        ends = (np.nan, np.nan)
        if alone and interval is not None:
            ends = (float(interval.low[place]), float(interval.high[place]))
        rows.append(
            {
                "task_name": cohort.task,
                "roi_name": region.name,
                "model_name": model,
                "given": given,
                "metric": options.statistic,
                "value": float(own.mean()),
                "n": len(own),
                "sd": float(own.std(ddof=1)) if several else np.nan,
                "ci_low": ends[0],
                "ci_high": ends[1],
                "p": signed_rank_p(own) if several else np.nan,
                "p_min": smallest_signed_rank_p(len(own)) if several else np.nan,
                "p_classes": test.p,
                "p_classes_min": test.smallest_p,
                "ceiling_low": ceiling[0] if alone else np.nan,
                "ceiling_high": ceiling[1] if alone else np.nan,
                "n_classes": len(cohort.classes),
            }
        )
    return rows


def difference_rows(
    cohort: Cohort,
    region: RegionRdms,
    values: Mapping[tuple[str, str], Floats],
    interval: Comparison | None,
    options: RsaOptions,
) -> list[dict[str, Any]]:
    """Return a row per pair of models, as `rsa_tables.COMPARISON_COLUMNS` says."""
    models = [model for model, given in values if given == ALONE]
    rows = []
    for one, other in combinations(range(len(models)), 2):
        difference = values[models[one], ALONE] - values[models[other], ALONE]
        several = len(difference) > 1
        rows.append(
            {
                "task_name": cohort.task,
                "roi_name": region.name,
                "model_1": models[one],
                "model_2": models[other],
                "metric": options.statistic,
                "value": float(difference.mean()),
                "ci_low": np.nan if interval is None else interval.difference_low[one, other],
                "ci_high": np.nan if interval is None else interval.difference_high[one, other],
                "p": signed_rank_p(difference, two_tailed=True) if several else np.nan,
                "p_min": smallest_signed_rank_p(len(difference), True) if several else np.nan,
                "n": len(difference),
            }
        )
    return rows
