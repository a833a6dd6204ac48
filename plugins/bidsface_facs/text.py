"""Methods text of what was done, with its citations."""

from __future__ import annotations

from collections.abc import Mapping

from bidsface.analysis import cited
from bidsface_facs.metrics import METRICS
from bidsface_facs.options import FacsOptions
from bidsface_facs.signature import SignatureOptions

CITATIONS: Mapping[str, str] = {
    "picard2021": "@mastersthesis{picard2021, author = {Picard, Marie-{\\`E}ve}, title = {The face "
    "of pain: predicting the facial expression of pain from {fMRI} data}, "
    "school = {Universit{\\'e} de Montr{\\'e}al}, year = {2021}}",
    "picard2023": "@article{picard2023, author = {Picard, Marie-{\\`E}ve and Kunz, Miriam and "
    "Chen, Jen-I and Coll, Michel-Pierre and Vachon-Presseau, {\\'E}tienne and Wager, Tor D. and "
    "Rainville, Pierre}, title = {A distributed brain response predicting the facial expression of "
    "acute nociceptive pain}, journal = {eLife}, volume = {12}, pages = {RP87962}, year = {2023}, "
    "doi = {10.7554/eLife.87962}}",
    "ekman1978": "@book{ekman1978, author = {Ekman, Paul and Friesen, Wallace V.}, "
    "title = {Facial Action Coding System}, publisher = {Consulting Psychologists Press}, "
    "year = {1978}}",
    "kunz2011": "@article{kunz2011, author = {Kunz, Miriam and Chen, Jen-I and Lautenbacher, "
    "Stefan and Vachon-Presseau, {\\'E}tienne and Rainville, Pierre}, title = {Cerebral regulation "
    "of facial expressions of pain}, journal = {Journal of Neuroscience}, volume = {31}, "
    "pages = {8730--8738}, year = {2011}, doi = {10.1523/JNEUROSCI.0217-11.2011}}",
    "prkachin2008": "@article{prkachin2008, author = {Prkachin, Kenneth M. and Solomon, Patricia "
    "E.}, title = {The structure, reliability and validity of pain expression: evidence from "
    "patients with shoulder pain}, journal = {Pain}, volume = {139}, pages = {267--274}, "
    "year = {2008}, doi = {10.1016/j.pain.2008.04.010}}",
    "pedregosa2011": "@article{pedregosa2011, author = {Pedregosa, Fabian and Varoquaux, "
    'Ga{\\"e}l and Gramfort, Alexandre and others}, title = {Scikit-learn: machine learning in '
    "{P}ython}, journal = {Journal of Machine Learning Research}, volume = {12}, "
    "pages = {2825--2830}, year = {2011}}",
    "phipson2010": "@article{phipson2010, author = {Phipson, Belinda and Smyth, Gordon K.}, "
    "title = {Permutation p-values should never be zero: calculating exact p-values when "
    "permutations are randomly drawn}, journal = {Statistical Applications in Genetics and "
    "Molecular Biology}, volume = {9}, pages = {39}, year = {2010}, "
    "doi = {10.2202/1544-6115.1585}}",
    "winkler2015": "@article{winkler2015, author = {Winkler, Anderson M. and Webster, Matthew A. "
    "and Vidaurre, Diego and Nichols, Thomas E. and Smith, Stephen M.}, title = {Multi-level block "
    "permutation}, journal = {NeuroImage}, volume = {123}, pages = {253--268}, year = {2015}, "
    "doi = {10.1016/j.neuroimage.2015.05.092}}",
    "efron1993": "@book{efron1993, author = {Efron, Bradley and Tibshirani, Robert J.}, "
    "title = {An Introduction to the Bootstrap}, publisher = {Chapman and Hall}, year = {1993}}",
    "efron1981": "@article{efron1981, author = {Efron, Bradley and Stein, Charles}, title = {The "
    "jackknife estimate of variance}, journal = {Annals of Statistics}, volume = {9}, "
    "pages = {586--596}, year = {1981}, doi = {10.1214/aos/1176345462}}",
    "benjamini1995": "@article{benjamini1995, author = {Benjamini, Yoav and Hochberg, Yosef}, "
    "title = {Controlling the false discovery rate: a practical and powerful approach to multiple "
    "testing}, journal = {Journal of the Royal Statistical Society B}, volume = {57}, "
    "pages = {289--300}, year = {1995}, doi = {10.1111/j.2517-6161.1995.tb02031.x}}",
    "wager2013": "@article{wager2013, author = {Wager, Tor D. and Atlas, Lauren Y. and Lindquist, "
    "Martin A. and Roy, Mathieu and Woo, Choong-Wan and Kross, Ethan}, title = {An {fMRI}-based "
    "neurologic signature of physical pain}, journal = {New England Journal of Medicine}, "
    "volume = {368}, pages = {1388--1397}, year = {2013}, doi = {10.1056/NEJMoa1204471}}",
    "wilcoxon1945": "@article{wilcoxon1945, author = {Wilcoxon, Frank}, title = {Individual "
    "comparisons by ranking methods}, journal = {Biometrics Bulletin}, volume = {1}, "
    "pages = {80--83}, year = {1945}, doi = {10.2307/3001968}}",
}

ESTIMATOR_TEXTS: Mapping[str, str] = {
    "lasso": "Lasso",
    "ridge": "ridge regression",
    "elastic_net": "elastic net",
    "svr": "linear support vector regression",
    "pls": "partial least squares",
}

STANDARDIZE_TEXTS: Mapping[str, str] = {
    "image": "Every image was scaled to mean 0 and standard deviation 1 over the voxels of the "
    "input.",
    "voxel": "Every voxel was scaled to mean 0 and standard deviation 1 of the training images.",
    "none": "Images were used in their own units.",
}

TRANSFORM_TEXTS: Mapping[str, str] = {
    "none": "as measured",
    "log1p": "as log(1 + x), since its distribution has a heavy tail",
    "rank": "as normal scores of its ranks among the training values",
}

VALIDATION_TEXTS: Mapping[str, str] = {
    "group-k-fold": "in {n_splits} groups, so that every participant was held out once",
    "group-shuffle-split": "in {n_splits} random sets of {share:.0f} % of the participants (some "
    "of which may never be held out)",
    "leave-one-participant-out": "one at a time",
}

SD_TEXTS: Mapping[str, str] = {
    "bootstrap": "",
    "larger": ", or by that of the jackknife over participants [@efron1981] where it is larger,",
}

SHUFFLE_TEXTS: Mapping[str, str] = {
    "within": "shuffling the targets of every participant's own images (is there information on "
    "trials?)",
    "between": "exchanging whole participants (is there information on people?), their blocks of "
    "values where numbers of images allow it, else their means",
    "both": "doing both",
}


def participant_methods(options: FacsOptions) -> str:
    """Describe what was taken from one participant."""
    extra = f" and {', '.join(options.covariates)}" if options.covariates else ""
    return (
        f"One image per event was kept with the event's {options.target}{extra} and the "
        "head-motion parameters weighted as the image was."
    )


def group_methods(options: FacsOptions, transferred: bool, told_apart: bool) -> str:
    """Describe the prediction over participants.

    Parameters
    ----------
    options : FacsOptions
    transferred : bool
        There are other data sets.
    told_apart : bool
        A classifier told them apart.
    """
    names = ", ".join(ESTIMATOR_TEXTS[name] for name in options.estimators)
    kept = (
        "all principal components"
        if options.variance is None
        else f"the principal components that hold {100 * options.variance:.0f} % of the variance"
    )
    folds = VALIDATION_TEXTS[options.validation].format(
        n_splits=options.n_splits, share=100 * options.test_size
    )
    sentences = [
        f"{options.target} was predicted from images of single events in participants that the "
        f"models had not seen [@picard2021; @picard2023]. {STANDARDIZE_TEXTS[options.standardize]} "
        f"Of the training images {kept} entered {names} [@pedregosa2011]; the target was used "
        f"{TRANSFORM_TEXTS[options.transform]}. Participants were held out {folds}.",
        *_tuning(options),
        "Predictions are scored by R2 and by mean absolute and squared error per fold, and by "
        "correlations within participants (over their images) and between them (of their means), "
        "each also for all held-out images together.",
        *_baselines(options),
        *_tests(options),
        *_maps(options),
        *(_transfer(options, told_apart) if transferred else ()),
    ]
    return " ".join(sentences)


def _baselines(options: FacsOptions) -> list[str]:
    others = [*options.covariates, "head motion"]
    partial = (
        f" Predictions and target were also correlated given {', '.join(options.covariates)}."
        if options.covariates
        else ""
    )
    return [
        "On the same folds the target was predicted by the mean of the training participants, and "
        f"by least squares on {' and on '.join(others)}, alone and with brain activity predicting "
        f"what they leave.{partial}"
    ]


def _tuning(options: FacsOptions) -> list[str]:
    tuned = [ESTIMATOR_TEXTS[name] for name in options.estimators if name in options.tuning]
    if not tuned:
        return []
    return [
        f"The penalty (or number of components) of {', '.join(tuned)} was chosen in every fold by "
        f"cross-validation over (at most) {options.inner_splits} groups of training participants."
    ]


def _tests(options: FacsOptions) -> list[str]:
    if not options.permutations or not options.shuffles:
        return []
    ways = "; or ".join(SHUFFLE_TEXTS[kind] for kind in options.shuffles)
    return [
        f"The mean of {METRICS[options.test_metric].description} over the folds was compared with "
        f"that of {options.permutations} "
        f"permutations, made by {ways} [@winkler2015]; p is (1 + the number of permutations that "
        "scored at least as well) / (1 + their number) [@phipson2010]."
    ]


def _maps(options: FacsOptions) -> list[str]:
    sentences = [
        "Coefficients of components were turned into coefficients of voxels; the map of a model "
        "that was fitted to all participants is its signature."
    ]
    if options.bootstraps:
        sentences.append(
            f"Participants were resampled {options.bootstraps} times [@efron1993], components and "
            "regression being fitted anew; z is the signature divided by the standard deviation "
            f"over resamples{SD_TEXTS[options.coefficient_sd]}, p two-tailed from the normal "
            "distribution, adjusted over voxels by the false discovery rate [@benjamini1995]."
        )
    return sentences


def _transfer(options: FacsOptions, told_apart: bool) -> list[str]:
    sentences = [
        "Models that were fitted to all participants were then tried on the other data set."
    ]
    if told_apart:
        test = (
            f", tested by {options.shift_permutations} exchanges of participants between them"
            if options.shift_permutations
            else ""
        )
        sentences.append(
            "A linear support vector machine was trained to tell which data set images come from, "
            f"and tried on held-out participants of both{test}."
        )
    return sentences


def signature_methods(options: SignatureOptions) -> str:
    """Describe the expression of signatures in one participant."""
    scaled = ", after scaling every image," if options.standardize == "image" else ""
    return (
        f"The images of single events were compared{scaled} with the signature maps "
        f"{', '.join(options.maps)}, brought to their grid, by dot product, cosine and Pearson's "
        "correlation over the voxels where the signature is not 0 [@wager2013]."
    )


def signature_group_methods(options: SignatureOptions) -> str:
    """Describe the tests of expression over participants."""
    related = (
        f" Within participants, expression was correlated with {options.target} by rank."
        if options.target is not None
        else ""
    )
    return (
        f"Expression was averaged within participants and classes.{related} Values were compared "
        "with 0 over participants by exact two-tailed Wilcoxon signed-rank tests [@wilcoxon1945], "
        "adjusted by the false discovery rate [@benjamini1995]."
    )


def citations_of(written: str) -> dict[str, str]:
    """Return the entries that a text cites."""
    return cited(written, CITATIONS)
