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

    One design of all samples where classes have equally many, or where all are wanted.

    Parameters
    ----------
    design : Design
    task : str
    options : RsaOptions
    seed : SeedSequence
        Of the draws.
    """
    codes, runs = design.codes.astype(np.int64), design.runs.astype(np.int64)
    cross = options.dissimilarity == "crossnobis"
    full = int((design.cells > 0).all(axis=1).sum())
    wanted = cross or options.standardize == "run"
    by_run = wanted and full >= (2 if cross else 1)
    draws = equal_draws(codes, runs, options.draws, seed, in_blocks=by_run)
    if len(draws[0]) == len(codes) and by_run == wanted:
        return [design], []
    counts = f"task {task}: {_counts(design)}"
    if not options.equal:
        return [design], [f"{counts}; {OF_ALL[cross]}"]
    if by_run < wanted:
        counts += f", and {full or 'no'} run{'s' * (full != 1)} with all of them"
        if cross:
            return [design], [f"{counts}; all samples were used, as counts: equal needs two such"]
        counts += ", so that scaling by run alone makes classes of the same runs differ"
    used = [replace(design, used=np.isin(np.arange(len(codes)), own)) for own in draws]
    n = len(draws[0]) // len(design.classes)
    times = "" if len(draws) == 1 else f" {len(draws)} times, and the RDMs averaged"
    return used, [f"{counts}; {n} of each were drawn{times}, since {UNEQUAL}"]


UNEQUAL = "unequal numbers alone make RDMs fit some models and not others"
OF_ALL = {
    False: f"{UNEQUAL}, so that p does not hold its level (counts: equal, or dissimilarity: "
    "crossnobis)",
    True: "crossnobis dissimilarities do not depend on numbers of samples, but their noise does, "
    "so that p from orders of the classes holds its level only nearly; exactly with counts: equal",
}
"""What to say of all samples, by whether dissimilarities are cross-validated."""


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
