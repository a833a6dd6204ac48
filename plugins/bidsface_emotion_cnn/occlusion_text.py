"""Methods text of occlusion and of what comes after it, with its citations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bidsface.analysis import cited
from bidsface_emotion_cnn.after_occlusion import EMBEDDING, VECTORS, Exploration
from bidsface_emotion_cnn.group_occlusion import GroupOcclusion
from bidsface_emotion_cnn.positions import BoxGrid

CITATIONS: Mapping[str, str] = {
    "zeiler2014": "@inproceedings{zeiler2014, author = {Zeiler, Matthew D. and Fergus, Rob}, "
    "title = {Visualizing and understanding convolutional networks}, booktitle = {Computer Vision "
    "-- {ECCV} 2014}, series = {Lecture Notes in Computer Science}, volume = {8689}, "
    "pages = {818--833}, year = {2014}, doi = {10.1007/978-3-319-10590-1_53}}",
    "occlusion2025": "@misc{occlusion2025, title = {Use of Occlusion Methods on {4D} Convolutional "
    "Neural Networks to Find Neural Representations of Perceived Emotions in {fMRI} Recordings}, "
    "year = {2025}}",
    "sundararajan2017": "@inproceedings{sundararajan2017, author = {Sundararajan, Mukund and Taly, "
    "Ankur and Yan, Qiqi}, title = {Axiomatic attribution for deep networks}, "
    "booktitle = {Proceedings of the 34th International Conference on Machine Learning}, "
    "volume = {70}, pages = {3319--3328}, year = {2017}}",
    "smilkov2017": "@misc{smilkov2017, author = {Smilkov, Daniel and Thorat, Nikhil and Kim, Been "
    "and Vi{\\'e}gas, Fernanda and Wattenberg, Martin}, title = {{SmoothGrad}: removing noise by "
    "adding noise}, year = {2017}, doi = {10.48550/arXiv.1706.03825}}",
    "mcinnes2018": "@misc{mcinnes2018, author = {McInnes, Leland and Healy, John and Melville, "
    "James}, title = {{UMAP}: uniform manifold approximation and projection for dimension "
    "reduction}, year = {2018}, doi = {10.48550/arXiv.1802.03426}}",
    "kobak2021": "@article{kobak2021, author = {Kobak, Dmitry and Linderman, George C.}, "
    "title = {Initialization is critical for preserving global data structure in both {t-SNE} and "
    "{UMAP}}, journal = {Nature Biotechnology}, volume = {39}, pages = {156--157}, "
    "year = {2021}, doi = {10.1038/s41587-020-00809-z}}",
    "russell1980": "@article{russell1980, author = {Russell, James A.}, title = {A circumplex "
    "model of affect}, journal = {Journal of Personality and Social Psychology}, volume = {39}, "
    "pages = {1161--1178}, year = {1980}, doi = {10.1037/h0077714}}",
    "rousseeuw1987": "@article{rousseeuw1987, author = {Rousseeuw, Peter J.}, title = "
    "{Silhouettes: a graphical aid to the interpretation and validation of cluster analysis}, "
    "journal = {Journal of Computational and Applied Mathematics}, volume = {20}, "
    "pages = {53--65}, year = {1987}, doi = {10.1016/0377-0427(87)90125-7}}",
    "campello2013": "@inproceedings{campello2013, author = {Campello, Ricardo J. G. B. and "
    'Moulavi, Davoud and Sander, J{\\"o}rg}, title = {Density-based clustering based on '
    "hierarchical density estimates}, booktitle = {Advances in Knowledge Discovery and Data "
    "Mining}, pages = {160--172}, year = {2013}, doi = {10.1007/978-3-642-37456-2_14}}",
    "hubert1985": "@article{hubert1985, author = {Hubert, Lawrence and Arabie, Phipps}, "
    "title = {Comparing partitions}, journal = {Journal of Classification}, volume = {2}, "
    "pages = {193--218}, year = {1985}, doi = {10.1007/BF01908075}}",
    "theiler1992": "@article{theiler1992, author = {Theiler, James and Eubank, Stephen and "
    "Longtin, Andr{\\'e} and Galdrikian, Bryan and Farmer, J. Doyne}, title = {Testing for "
    "nonlinearity in time series: the method of surrogate data}, journal = {Physica D}, "
    "volume = {58}, pages = {77--94}, year = {1992}, doi = {10.1016/0167-2789(92)90102-S}}",
    "burt2020": "@article{burt2020, author = {Burt, Joshua B. and Helmer, Markus and Shinn, "
    "Maxwell and Anticevic, Alan and Murray, John D.}, title = {Generative modeling of brain maps "
    "with spatial autocorrelation}, journal = {NeuroImage}, volume = {220}, pages = {117038}, "
    "year = {2020}, doi = {10.1016/j.neuroimage.2020.117038}}",
    "nichols2002": "@article{nichols2002, author = {Nichols, Thomas E. and Holmes, Andrew P.}, "
    "title = {Nonparametric permutation tests for functional neuroimaging: a primer with "
    "examples}, journal = {Human Brain Mapping}, volume = {15}, pages = {1--25}, year = {2002}, "
    "doi = {10.1002/hbm.1058}}",
    "winkler2014": "@article{winkler2014, author = {Winkler, Anderson M. and Ridgway, Gerard R. "
    "and Webster, Matthew A. and Smith, Stephen M. and Nichols, Thomas E.}, title = {Permutation "
    "inference for the general linear model}, journal = {NeuroImage}, volume = {92}, "
    "pages = {381--397}, year = {2014}, doi = {10.1016/j.neuroimage.2014.01.060}}",
    "benjamini1995": "@article{benjamini1995, author = {Benjamini, Yoav and Hochberg, Yosef}, "
    "title = {Controlling the false discovery rate: a practical and powerful approach to multiple "
    "testing}, journal = {Journal of the Royal Statistical Society B}, volume = {57}, "
    "pages = {289--300}, year = {1995}, doi = {10.1111/j.2517-6161.1995.tb02031.x}}",
    "pedregosa2011": "@article{pedregosa2011, author = {Pedregosa, Fabian and Varoquaux, "
    'Ga{\\"e}l and Gramfort, Alexandre and others}, title = {Scikit-learn: machine learning in '
    "{P}ython}, journal = {Journal of Machine Learning Research}, volume = {12}, "
    "pages = {2825--2830}, year = {2011}}",
}

GRADIENT_TEXTS: Mapping[str, str] = {
    "integrated-gradients": "integrated gradients [@sundararajan2017]",
    "smooth-grad": "smoothed gradients [@smilkov2017]",
}
"""Other attributions that stand beside occlusion."""

CLUSTERING_TEXTS: Mapping[str, str] = {
    "k-means": "k-means [@pedregosa2011]; their number had the largest silhouette [@rousseeuw1987]",
    "hdbscan": "HDBSCAN [@campello2013; @pedregosa2011]",
}


def occlusion_methods(
    grid: BoxGrid, per_class: int, above: float, gradients: Sequence[str] = ()
) -> str:
    """Return how volumes were chosen and occluded.

    Parameters
    ----------
    grid : BoxGrid
    per_class : int
        Volumes wanted of each class.
    above : float
        Probability of the true class that they exceed.
    gradients : sequence of str
        Keys of `GRADIENT_TEXTS`: what else was computed.
    """
    box, step = (" x ".join(map(str, lengths)) for lengths in (grid.edges, grid.steps))
    padded = " (the last boxes hang over the end of the volume)" if grid.padded else ""
    text = (
        f"A box of {box} voxels was set to zero at steps of {step} voxels{padded}, and the change "
        f"of the probability of every class was noted at each of {grid.n_positions:,} positions "
        f"[@zeiler2014; @occlusion2025]. Maps of importance show up to {per_class} volumes per "
        "class, drawn evenly from participants among those that a network which had not seen them "
        f"classified correctly with a probability above {above:g}."
    )
    if gradients:
        others = " and ".join(GRADIENT_TEXTS[name] for name in gradients)
        text += f" Beside them stand {others} of the same volumes."
    return text


def group_methods(
    n_shown: NDArray[np.integer], tested: GroupOcclusion, per_class: int, n_flips: int
) -> str:
    """Return how maps were averaged and tested; without inference where there was none.

    Parameters
    ----------
    n_shown : ndarray of shape (n_classes,), int
        Participants with volumes that are shown.
    tested : GroupOcclusion
    per_class : int
        Volumes wanted of each class.
    n_flips : int
    """
    n = [int(count) for count in tested.n_participants]
    text = (
        "The change of a class's probability in the class's own volumes was averaged within and "
        f"then over participants ({_span([int(count) for count in n_shown])} per class)."
    )
    if max(n, default=0) < 2:
        return f"{text} With fewer than two participants there was no inference."
    return (
        f"{text} A probability that was chosen for being high is likelier to drop than to rise, "
        f"whatever is emptied. Drops were therefore tested in up to {per_class} volumes per class "
        f"that were drawn whatever the network said of them ({_span(n)} participants per class), "
        f"over participants, one-tailed, by {n_flips:,} flips of the signs of whole maps (all of "
        "them where there are not more) [@winkler2014], corrected over the positions of a class by "
        "the largest t of every flip [@nichols2002] and, apart from that, adjusted for the false "
        "discovery rate [@benjamini1995]."
    )


def exploration_methods(explored: Exploration) -> str:
    """Return how top positions were named, embedded and clustered."""
    settings = explored.settings
    return " ".join(
        [
            f"The {settings.top} positions per class with the largest drops in the maps of "
            "importance were named by the structure that most of a box's voxels lie in "
            f"({explored.names_source}).",
            "Their coordinates, and the vectors of changes of all classes' probabilities, were "
            f"embedded in two dimensions by UMAP [@mcinnes2018] ({settings.umap.n_neighbors} "
            f"neighbours at most, smallest distance {settings.umap.min_dist:g}, beginning with "
            "principal components [@kobak2021]); principal components of the vectors stand beside "
            "it.",
            "Valence and arousal of a position are those of the classes by convention "
            "[@russell1980], weighted by the drops of their probabilities.",
            "Positions were clustered by their vectors with "
            f"{CLUSTERING_TEXTS[settings.clustering]}.",
            *_stability_text(explored),
        ]
    )


def _stability_text(explored: Exploration) -> list[str]:
    if not explored.stability:
        return []
    repeats = {
        VECTORS: explored.settings.repeat_vectors,
        EMBEDDING: explored.settings.repeat_embedding,
    }
    own = {name: repeats[name] for name in explored.stability}
    seeds = [f"for the {name} with {one.n_seeds} seeds" for name, one in own.items()]
    text = (
        f"k-means with {explored.clustering.n_clusters} clusters was repeated "
        f"{' and '.join(seeds)}, and pairs of seeds were compared by the adjusted Rand index "
        "[@hubert1985]"
    )
    if any(one.n_sets for one in own.values()):
        times = " and ".join(str(one.n_sets) for one in own.values())
        text += (
            f". So were the top positions of {times} sets of maps with the values and the "
            "smoothness of each class's own, but nothing in common (random phases "
            "[@theiler1992], neighbours as alike [@burt2020]), their number of clusters chosen in "
            "the same way; the number of different positions among the top ones was compared with "
            "that of these maps, too"
        )
    return [f"{text}."]


def _span(counts: Sequence[int]) -> str:
    low, high = min(counts, default=0), max(counts, default=0)
    return str(low) if low == high else f"{low} to {high}"


def exploration_highlights(explored: Exploration) -> list[str]:
    """Return a sentence per class about its largest drop, and one about the clusters."""
    lines = []
    for code, (name, top) in enumerate(zip(explored.classes, explored.tops, strict=True)):
        if not len(top):
            lines.append(f"{name}: no occlusion lowers its probability.")
            continue
        row = int(explored.found.positions.searchsorted(top[0]))
        x, y, z = explored.found.centres[row]
        lines.append(
            f"{name}: the largest drop of its probability ({-explored.maps[code, top[0]]:.3f}) is "
            f"at ({x:.0f}, {y:.0f}, {z:.0f}) mm, {explored.names[row]}."
        )
    if explored.stability:
        agreement = "; ".join(
            f"{name}: {one.mean:.2f}{_of_unrelated(one.null, '.2f', one.p)}"
            for name, one in explored.stability.items()
        )
        lines.append(
            f"{explored.clustering.n_clusters} clusters of positions by their drops; agreement "
            f"between seeds (adjusted Rand index): {agreement}."
        )
    sharing = explored.sharing
    lines.append(
        f"The {sum(map(len, explored.tops)):,} top positions of all classes are "
        f"{sharing.n_positions:,} places{_of_unrelated(sharing.null, ',.0f', sharing.p)}; the "
        "fewer, the more do classes share."
    )
    return lines


def _of_unrelated(null: NDArray[Any], style: str, p: float) -> str:
    """Return what maps with nothing in common have, and the p-value where there is one."""
    if not len(null):
        return ""
    tested = "" if np.isnan(p) else f", p = {p:.3f}"
    return f" (maps with nothing in common: {null.mean():{style}}{tested})"


def citations_of(text: str) -> dict[str, str]:
    """Return the entries that a text cites."""
    return cited(text, CITATIONS)
