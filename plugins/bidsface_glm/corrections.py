"""Corrections for the number of voxels: which voxels of a group map are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bidsface.analysis import Voxels
from bidsface.statistics import fdr
from bidsface_glm.first_level import Statistics
from bidsface_glm.images import fitted_masker, image_of, values_of
from bidsface_glm.options import GlmOptions
from bidsface_glm.second_level import Clusters, permutation_test

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GroupMap:
    """A group map and what it was made of.

    Attributes
    ----------
    effects : ndarray of shape (n_participants, n_voxels)
    design : ndarray of shape (n_participants, n_regressors)
    column : int
        The regressor that was tested.
    found : Statistics
    voxels : Voxels
    """

    effects: Floats
    design: Floats
    column: int
    found: Statistics
    voxels: Voxels


@dataclass(frozen=True, eq=False)
class Corrected:
    """A corrected map.

    Attributes
    ----------
    name : str
        What the cluster table calls the correction.
    end : str
        What is appended to the contrast in the names of files.
    description : str
    significant : ndarray of shape (n_voxels,), bool
    p : ndarray of shape (n_voxels,) or None
        Corrected p, where there is one.
    """

    name: str
    end: str
    description: str
    significant: NDArray[np.bool_]
    p: Floats | None


Correct = Callable[[GroupMap, GlmOptions, np.random.SeedSequence], list[Corrected]]


def correct_fdr(
    group: GroupMap, options: GlmOptions, seed: np.random.SeedSequence
) -> list[Corrected]:
    """Adjust p by Benjamini and Hochberg."""
    return [_by_p("fdr", "Fdr", "false discovery rate", fdr(group.found.p), options)]


def correct_bonferroni(
    group: GroupMap, options: GlmOptions, seed: np.random.SeedSequence
) -> list[Corrected]:
    """Multiply p by the number of voxels."""
    p = np.minimum(1.0, group.found.p * len(group.found.p))
    return [_by_p("bonferroni", "Bonferroni", "Bonferroni", p, options)]


def correct_permutation(
    group: GroupMap, options: GlmOptions, seed: np.random.SeedSequence
) -> list[Corrected]:
    """Compare with the largest t, and if wanted the largest cluster, of every permutation."""
    clusters = (
        Clusters(fitted_masker(group.voxels), options.cluster_forming_p)
        if options.permutation_clusters
        else None
    )
    found = permutation_test(
        group.effects,
        group.design,
        group.column,
        options.n_permutations,
        options.two_sided,
        seed,
        clusters,
    )
    texts = [("permutation", "Permutation", "largest t of every permutation", found.p)]
    if found.p_cluster is not None:
        text = "largest cluster of every permutation"
        texts.append(("permutation (clusters)", "PermutationCluster", text, found.p_cluster))
    return [_by_p(*text, options) for text in texts]


def _by_p(name: str, end: str, text: str, p: Floats, options: GlmOptions) -> Corrected:
    return Corrected(name, end, f"p < {options.alpha:g} by {text}", p < options.alpha, p)


def correct_cluster(
    group: GroupMap, options: GlmOptions, seed: np.random.SeedSequence
) -> list[Corrected]:
    """Keep clusters of a smallest size, formed at an uncorrected threshold."""
    from nilearn.glm import threshold_stats_img

    z, voxels = group.found.z, group.voxels
    threshold = float(stats.norm.isf(options.cluster_forming_p / (2 if options.two_sided else 1)))
    significant = np.zeros(len(z), dtype=bool)
    if (np.abs(z) if options.two_sided else z).max() > threshold:  # nilearn warns otherwise
        kept, _ = threshold_stats_img(
            image_of(z, voxels),
            threshold=threshold,
            height_control=None,
            cluster_threshold=options.cluster_extent,
            two_sided=options.two_sided,
        )
        significant = values_of(kept, voxels) != 0
    text = f"p < {options.cluster_forming_p:g}, clusters of {options.cluster_extent} voxels or more"
    return [Corrected("cluster", "Cluster", text, significant, None)]


CORRECTIONS: Mapping[str, Correct] = {
    "fdr": correct_fdr,
    "bonferroni": correct_bonferroni,
    "cluster": correct_cluster,
    "permutation": correct_permutation,
}
