"""Which samples of classes RDMs are made of: equally many of each, or all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bidsface_emotion_cnn.equal_counts import equal_draws
from bidsface_emotion_cnn.rsa import RsaOptions
from bidsface_emotion_cnn.rsa_patterns import Design


def drawn_designs(
    design: Design, task: str, options: RsaOptions, seed: np.random.SeedSequence
) -> tuple[list[Design], list[str]]:
    """Return a design for every draw of equally many samples per class, and notes on them.

    One design of all samples where classes have equally many, where the recipe wants all, and for
    cross-validated dissimilarities: these multiply different runs, whose noise is independent, so
    that numbers of samples do not show in them.

    Parameters
    ----------
    design : Design
    task : str
    options : RsaOptions
    seed : SeedSequence
        Of the draws.
    """
    if options.dissimilarity == "crossnobis":
        return [design], []
    codes, runs = design.codes.astype(np.int64), design.runs.astype(np.int64)
    counts = f"task {task}: {_counts(design)}"
    by_run, notes = options.standardize == "run", []
    if by_run and not (design.cells > 0).all(axis=1).any():
        by_run = False
        notes.append(
            f"task {task}: no run has all classes, so that scaling by run alone makes classes of "
            "the same runs differ; standardize: task or dissimilarity: crossnobis do without"
        )
    draws = equal_draws(codes, runs, options.draws, seed, in_blocks=by_run)
    if len(draws[0]) == len(codes):
        return [design], notes
    if options.counts == "all":
        text = (
            f"{counts}; unequal numbers alone make RDMs fit some models and not others, so that p "
            "does not hold its level (counts: equal, or dissimilarity: crossnobis)"
        )
        return [design], [*notes, text]
    n = len(draws[0]) // len(design.classes)
    notes.append(
        f"{counts}; {n} of each were drawn{_times(len(draws))}, since unequal numbers alone make "
        "RDMs fit some models and not others"
    )
    return [replace(design, used=np.isin(np.arange(len(codes)), own)) for own in draws], notes


def _counts(design: Design) -> str:
    """Return the least and the largest number of samples of a class, for people."""
    counts = design.cells.sum(axis=0)
    low, high = int(counts.argmin()), int(counts.argmax())
    if counts[low] == counts[high]:
        return "runs have different numbers of samples of the classes"
    return (
        f"classes have {counts[low]} ({design.classes[low]}) to {counts[high]} "
        f"({design.classes[high]}) samples"
    )


def _times(n: int) -> str:
    return "" if n == 1 else f" {n} times, and the RDMs averaged"
