"""Methods text of the analysis ``rsa``, with its citations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bidsface.analysis import cited
from bidsface_emotion_cnn import consensus_text
from bidsface_emotion_cnn.consensus_text import label_methods
from bidsface_emotion_cnn.rsa import CategoryModel, FeatureModel, RsaLabels, RsaOptions

if TYPE_CHECKING:
    from bidsface_emotion_cnn.rsa_maps import SphereMaps

CITATIONS: Mapping[str, str] = {
    "kriegeskorte2008": "@article{kriegeskorte2008, author = {Kriegeskorte, Nikolaus and Mur, "
    "Marieke and Bandettini, Peter}, title = {Representational similarity analysis: connecting the "
    "branches of systems neuroscience}, journal = {Frontiers in Systems Neuroscience}, "
    "volume = {2}, pages = {4}, year = {2008}, doi = {10.3389/neuro.06.004.2008}}",
    "kriegeskorte2006": "@article{kriegeskorte2006, author = {Kriegeskorte, Nikolaus and Goebel, "
    "Rainer and Bandettini, Peter}, title = {Information-based functional brain mapping}, "
    "journal = {Proceedings of the National Academy of Sciences}, volume = {103}, "
    "pages = {3863--3868}, year = {2006}, doi = {10.1073/pnas.0600244103}}",
    "nili2014": "@article{nili2014, author = {Nili, Hamed and Wingfield, Cai and Walther, "
    "Alexander and Su, Li and Marslen-Wilson, William and Kriegeskorte, Nikolaus}, title = {A "
    "toolbox for representational similarity analysis}, journal = {PLoS Computational Biology}, "
    "volume = {10}, pages = {e1003553}, year = {2014}, doi = {10.1371/journal.pcbi.1003553}}",
    "walther2016": "@article{walther2016, author = {Walther, Alexander and Nili, Hamed and Ejaz, "
    'Naveed and Alink, Arjen and Kriegeskorte, Nikolaus and Diedrichsen, J{\\"o}rn}, '
    "title = {Reliability of dissimilarity measures for multi-voxel pattern analysis}, "
    "journal = {NeuroImage}, volume = {137}, pages = {188--200}, year = {2016}, "
    "doi = {10.1016/j.neuroimage.2015.12.012}}",
    "mantel1967": "@article{mantel1967, author = {Mantel, Nathan}, title = {The detection of "
    "disease clustering and a generalized regression approach}, journal = {Cancer Research}, "
    "volume = {27}, pages = {209--220}, year = {1967}}",
    "legendre2000": "@article{legendre2000, author = {Legendre, Pierre}, title = {Comparison of "
    "permutation methods for the partial correlation and partial {M}antel tests}, "
    "journal = {Journal of Statistical Computation and Simulation}, volume = {67}, "
    "pages = {37--73}, year = {2000}, doi = {10.1080/00949650008812035}}",
    "schutt2023": '@article{schutt2023, author = {Sch{\\"u}tt, Heiko H. and Kipnis, Alexander D. '
    'and Diedrichsen, J{\\"o}rn and Kriegeskorte, Nikolaus}, title = {Statistical inference on '
    "representational geometries}, journal = {eLife}, volume = {12}, pages = {e82566}, "
    "year = {2023}, doi = {10.7554/eLife.82566}}",
    "ledoit2004": "@article{ledoit2004, author = {Ledoit, Olivier and Wolf, Michael}, "
    "title = {A well-conditioned estimator for large-dimensional covariance matrices}, "
    "journal = {Journal of Multivariate Analysis}, volume = {88}, pages = {365--411}, "
    "year = {2004}, doi = {10.1016/S0047-259X(03)00096-4}}",
    "phipson2010": "@article{phipson2010, author = {Phipson, Belinda and Smyth, Gordon K.}, "
    "title = {Permutation p-values should never be zero: calculating exact p-values when "
    "permutations are randomly drawn}, journal = {Statistical Applications in Genetics and "
    "Molecular Biology}, volume = {9}, pages = {39}, year = {2010}, "
    "doi = {10.2202/1544-6115.1585}}",
    "benjamini1995": "@article{benjamini1995, author = {Benjamini, Yoav and Hochberg, Yosef}, "
    "title = {Controlling the false discovery rate: a practical and powerful approach to multiple "
    "testing}, journal = {Journal of the Royal Statistical Society B}, volume = {57}, "
    "pages = {289--300}, year = {1995}, doi = {10.1111/j.2517-6161.1995.tb02031.x}}",
    "nichols2002": "@article{nichols2002, author = {Nichols, Thomas E. and Holmes, Andrew P.}, "
    "title = {Nonparametric permutation tests for functional neuroimaging: a primer with "
    "examples}, journal = {Human Brain Mapping}, volume = {15}, pages = {1--25}, year = {2002}, "
    "doi = {10.1002/hbm.1058}}",
    "stelzer2013": "@article{stelzer2013, author = {Stelzer, Johannes and Chen, Yi and Turner, "
    "Robert}, title = {Statistical inference and multiple testing correction in "
    "classification-based multi-voxel pattern analysis ({MVPA}): random permutations and cluster "
    "size control}, journal = {NeuroImage}, volume = {65}, pages = {69--82}, year = {2013}, "
    "doi = {10.1016/j.neuroimage.2012.09.063}}",
    "wilcoxon1945": "@article{wilcoxon1945, author = {Wilcoxon, Frank}, title = {Individual "
    "comparisons by ranking methods}, journal = {Biometrics Bulletin}, volume = {1}, "
    "pages = {80--83}, year = {1945}, doi = {10.2307/3001968}}",
    "torgerson1952": "@article{torgerson1952, author = {Torgerson, Warren S.}, "
    "title = {Multidimensional scaling: {I}. {T}heory and method}, journal = {Psychometrika}, "
    "volume = {17}, pages = {401--419}, year = {1952}, doi = {10.1007/BF02288916}}",
}

SCALINGS = {
    "task": "scaled to mean 0 and standard deviation 1 over the task in every voxel",
    "run": "scaled to mean 0 and standard deviation 1 over each run in every voxel",
    "none": "not scaled",
}

DISSIMILARITIES = {
    "correlation": "1 - Pearson's r of their patterns",
    "euclidean": "the squared Euclidean distance of their patterns, divided by the number of "
    "voxels",
    "crossnobis": "the cross-validated squared distance of their patterns in different runs "
    "(crossnobis, [@walther2016]), divided by the number of voxels",
}

NOISE = {
    "shrinkage": "Patterns were multiplied by the inverse square root of the noise covariance, "
    "estimated from what samples differ within class and run and shrunk towards a multiple of the "
    "identity [@ledoit2004].",
    "diagonal": "Voxels were divided by the standard deviation of what samples differ within class "
    "and run.",
}

_COUNTS = (
    "Where classes had different numbers of samples{}, as many of every class were drawn at random "
    "as the smallest one had, from the same runs as far as possible, since noise alone makes "
    "dissimilarities depend on these numbers."
)
COUNTS = {
    False: _COUNTS.format(""),
    True: _COUNTS.format(" and two runs at least had all of them"),
}
"""By whether dissimilarities are cross-validated."""

STATISTICS = {
    "pearson": "Pearson's correlation",
    "spearman": "Spearman's rank correlation",
    "kendall": "Kendall's tau-a [@nili2014]",
    "cosine": "the cosine similarity",
}

RESAMPLED = {
    "both": "participants and classes, with a variance that is corrected for counting the noise of "
    "the measurements twice [@schutt2023]",
    "participants": "participants",
    "conditions": "classes",
}


def participant_methods(
    options: RsaOptions,
    spheres: SphereMaps | None,
    drawn: bool,
    n_observers: int | None = None,
) -> str:
    """Describe the analysis of one participant.

    Parameters
    ----------
    options : RsaOptions
    spheres : SphereMaps or None
    drawn : bool
        Whether equally many samples of the classes of a task were drawn.
    n_observers : int, optional
        Whose annotations volumes are labelled with.
    """
    average = "class and run" if options.dissimilarity == "crossnobis" else "class"
    sentences = [] if options.labels is None else [_volumes(options.labels, n_observers)]
    sentences += [
        "Representational dissimilarity matrices (RDMs, [@kriegeskorte2008]) were computed per "
        f"region. Samples were {SCALINGS[options.standardize]} and averaged by {average}; the "
        f"dissimilarity of two classes is {DISSIMILARITIES[options.dissimilarity]}."
    ]
    if drawn:
        counts = COUNTS[options.dissimilarity == "crossnobis"]
        sentences.append(counts if options.draws == 1 else f"{counts[:-1]}; {_draws(options)}.")
    if options.normalization != "none":
        sentences.append(NOISE[options.normalization])
    if options.models:
        sentences.append(
            f"RDMs were compared with {_models(options)} by {STATISTICS[options.statistic]} of "
            "the dissimilarities of all pairs of classes. p is the share of orders of a model's "
            "classes in which the similarity is at least as large (Mantel test, [@mantel1967]): of "
            f"all orders where there are at most {options.permutations}, else of as many random "
            "ones, the observed one included [@phipson2010]; adjusted over regions by the false "
            "discovery rate [@benjamini1995]."
        )
    if options.partial:
        sentences.append(
            "Each model was also tested given all others, by partial correlation, permuting the "
            "classes of what the others leave of the model [@legendre2000]."
        )
    if spheres is not None:
        sentences.append(_searchlight(options, spheres))
    return " ".join(sentences)


def _volumes(labels: RsaLabels, n_observers: int | None) -> str:
    """Describe labelled volumes."""
    sentences = [label_methods(labels, n_observers), "These volumes are the samples."]
    if labels.smoothing_fwhm is not None:
        sentences.append(
            "Images were smoothed with a Gaussian of full width at half maximum "
            f"{labels.smoothing_fwhm:g} mm."
        )
    removed = [f"drifts slower than {labels.high_pass:g} s"] if labels.high_pass else []
    if labels.confounds:
        removed.append("the chosen confounds")
    if removed:
        sentences.append(f"From every run {' and '.join(removed)} were removed.")
    return " ".join(sentences)


def _draws(options: RsaOptions) -> str:
    return f"RDMs are the mean over {options.draws} such draws"


def _models(options: RsaOptions) -> str:
    kinds: Mapping[type, str] = {
        FeatureModel: "distances of numbers per class",
        CategoryModel: "groups of classes",
    }
    texts = [
        f"{name} ({kinds.get(type(model), 'a given matrix')})"
        for name, model in options.models.items()
    ]
    noun = "the model" if len(texts) == 1 else "the models"
    return f"{noun} {', '.join(texts)}"


def _searchlight(options: RsaOptions, spheres: SphereMaps) -> str:
    text = (
        f"In a searchlight [@kriegeskorte2006], RDMs of all voxels within {spheres.radius:g} mm "
        f"around every voxel of {spheres.region} were computed likewise"
    )
    if options.normalization == "shrinkage":
        text += ", noise being normalized by standard deviations of voxels"
    if options.models:
        text += (
            " and compared with the models; p is corrected over voxels by the largest similarity "
            "of every order of the classes [@nichols2002]"
        )
    return f"{text}."


def group_methods(options: RsaOptions, resampled: str | None, spheres: bool) -> str:
    """Describe the analysis of the group.

    Parameters
    ----------
    options : RsaOptions
    resampled : str or None
        What was resampled for the intervals; None for no intervals.
    spheres : bool
        Whether there are maps of spheres.
    """
    sentences = [
        "RDMs were averaged over participants, and classes placed in a plane by classical "
        "multidimensional scaling [@torgerson1952]."
    ]
    if options.models:
        sentences.append(
            "Participants' similarities with every model were compared with 0 by exact one-tailed "
            "Wilcoxon signed-rank tests [@wilcoxon1945], and those with two models with each other "
            "by two-tailed ones, adjusted over regions by the false discovery rate "
            "[@benjamini1995]. The mean similarity was also tested by permuting the classes of the "
            "model, in the same way for all participants [@mantel1967]. The noise ceiling is the "
            "mean similarity of participants' RDMs with the mean RDM: of all participants (upper "
            "bound) and of all others (lower bound) [@nili2014]."
        )
    if options.models and resampled is not None:
        sentences.append(
            f"95 % confidence intervals are t intervals from {options.bootstrap} bootstrap draws "
            f"of {RESAMPLED[resampled]}; pairs of a class with itself were left out."
        )
    if spheres and options.models:
        null = (
            "an order of the classes of its own for every participant [@stelzer2013]"
            if options.group_orders == "own"
            else "the same order of the classes for all participants"
        )
        sentences.append(
            "Mean similarities in spheres were compared with those of permuted models, with "
            f"{null}, and corrected over voxels by the largest mean of every draw [@nichols2002]."
        )
    return " ".join(sentences)


def citations_of(written: str) -> dict[str, str]:
    """Return the entries that a text cites."""
    return cited(written, {**CITATIONS, **consensus_text.CITATIONS})
