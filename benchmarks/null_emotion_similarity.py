"""How often brain and network are alike at p <= 0.05 where classes have no geometry in common.

A part of `null_emotion`: the same film in all participants, responses that linger and are partly
alike in them, and labels that have nothing to do with either; classes differ in their numbers of
volumes, as in a film. A random projection with rectification takes the place of an untrained
network, and one that starts from the mean volumes of its training runs that of a trained one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bidsface.numerics.seeds import child_seed
from bidsface_emotion_cnn.brain_rdms import BrainRdms, brain_rdms
from bidsface_emotion_cnn.class_rdms import DrawnMeans
from bidsface_emotion_cnn.split_similarity import split_mantel
from bidsface_emotion_cnn.volume_set import VolumeSet

N_PEOPLE, N_RUNS, N_BLOCKS, N_CLASSES, N_VOXELS, N_UNITS = 8, 6, 12, 5, 60, 40
SHARES = (0.32, 0.24, 0.18, 0.14, 0.12)
LONGEST, GAP, MEMORY = 6, 3, 0.9
N_PERMUTATIONS = 120
WRONG, POWER = "NOT OFFERED", "AS IT SHOULD"

Found = Iterator[tuple[str, float]]


@dataclass(frozen=True)
class Film:
    """Labelled volumes of a film: class, run, and time in volumes; (n_moments,) each."""

    labels: np.ndarray
    runs: np.ndarray
    steps: np.ndarray


def make_film(rng: np.random.Generator) -> Film:
    """Return a film in which every class occurs in two runs or more."""
    while True:
        rows = []
        for run in range(N_RUNS):
            step = 0
            for label in rng.choice(N_CLASSES, N_BLOCKS, p=SHARES):
                length = int(rng.integers(2, LONGEST + 1))
                rows += [(label, run, step + place) for place in range(length)]
                step += length + GAP
        film = Film(*np.array(rows).T)
        in_runs = [len(set(film.runs[film.labels == label])) for label in range(N_CLASSES)]
        if min(in_runs) > 1:
            return film


def watch(rng: np.random.Generator, film: Film, shared: float, effect: float = 0.0) -> VolumeSet:
    """Return the volumes of all participants; with an effect classes have patterns."""
    span = int(film.steps.max()) + 1
    series = rng.standard_normal((N_PEOPLE + 1, N_RUNS, span, N_VOXELS))
    for step in range(1, span):
        series[:, :, step] *= np.sqrt(1 - MEMORY**2)
        series[:, :, step] += MEMORY * series[:, :, step - 1]
    mixed = np.sqrt(shared) * series[:1] + np.sqrt(1 - shared) * series[1:]
    # Along few axes, so that some classes are more alike than others.
    axes = rng.standard_normal((2, N_VOXELS))
    patterns = effect * rng.standard_normal((N_CLASSES, 2)) @ axes
    data = mixed[:, film.runs, film.steps] + patterns[film.labels]
    codes, runs, steps = (np.tile(part, N_PEOPLE) for part in vars(film).values())
    return VolumeSet(
        data.reshape(-1, N_VOXELS, 1, 1).astype(np.float32),
        codes.astype(np.int64),
        np.repeat(np.arange(N_PEOPLE), len(film.labels)).astype(np.int64),
        runs.astype(np.int64),
        steps.astype(np.float64),
        tuple("ABCDE"),
        tuple(map(str, range(N_PEOPLE))),
        tuple(map(str, range(N_RUNS))),
    )


def network_rdm(
    volumes: VolumeSet, run: int, trained: bool, rng: np.random.Generator
) -> np.ndarray:
    """Return the RDM of a layer for a held-out run."""
    values, tested = volumes.data[:, :, 0, 0], volumes.runs == run
    weights = rng.standard_normal((N_VOXELS, N_UNITS))
    if trained:
        learned = [
            values[~tested & (volumes.codes == code)].mean(axis=0) for code in range(N_CLASSES)
        ]
        weights = np.transpose(learned) @ rng.standard_normal((N_CLASSES, N_UNITS))
    blocks = volumes.participants[tested]
    seed = np.random.SeedSequence(int(rng.integers(2**32)))
    means = DrawnMeans(volumes.codes[tested], blocks, N_CLASSES, seed)
    means.add(0, np.maximum(values[tested] @ weights, 0.0))
    return means.rdm()


def brains(volumes: VolumeSet, seed: np.random.SeedSequence) -> BrainRdms:
    """Return RDMs of the brain, of every run and of all others."""
    inside = np.ones(volumes.shape, bool)
    parts = [volumes.runs == run for run in range(N_RUNS)]
    return brain_rdms(volumes, inside, {"brain": inside}, parts, seed)["brain"]


def networks(volumes: VolumeSet, trained: bool, rng: np.random.Generator) -> np.ndarray:
    """Return the RDMs of a layer for all held-out runs; an untrained network is always the same."""
    state = rng.integers(2**32)
    return np.stack(
        [network_rdm(volumes, run, trained, np.random.default_rng(state)) for run in range(N_RUNS)]
    )


def across(models: np.ndarray, brain: BrainRdms, seed: np.random.SeedSequence) -> float:
    """Return p of the comparison across runs."""
    test = split_mantel(models, brain.others, n_permutations=N_PERMUTATIONS, seed=seed)
    return float("nan") if test is None else test.p


def within(models: np.ndarray, brain: BrainRdms, seed: np.random.SeedSequence) -> float:
    """Return p of a comparison of the same volumes."""
    every = np.broadcast_to(brain.every, (len(models), *brain.every.shape))
    test = split_mantel(models, every, n_permutations=N_PERMUTATIONS, seed=seed)
    return float("nan") if test is None else test.p


def similarity_p(rng: np.random.Generator, seed: np.random.SeedSequence) -> Found:
    """Yield the p-values of a data set by their names."""
    film = make_film(rng)
    for shared, who in ((0.5, "responses partly alike in people"), (0.0, "responses of their own")):
        volumes = watch(rng, film, shared)
        brain = brains(volumes, child_seed(seed, 0))
        for trained, what in ((False, "an untrained network"), (True, "a trained network")):
            models = networks(volumes, trained, rng)
            yield f"brain and {what}, other runs, {who}", across(models, brain, seed)
            if shared:
                yield (
                    f"{WRONG}: brain and {what}, the same volumes, {who}",
                    within(models, brain, seed),
                )
    volumes = watch(rng, film, 0.5, effect=0.5)
    models = networks(volumes, True, rng)
    brain = brains(volumes, child_seed(seed, 0))
    yield (
        f"{POWER}: brain and a trained network, other runs, with an effect",
        across(models, brain, seed),
    )
