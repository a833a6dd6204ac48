"""Methods text of the searchlight, with its citations."""

from __future__ import annotations

from collections.abc import Mapping

from bidsface.analysis import cited
from bidsface_decoding import text
from bidsface_decoding.scoring import METRICS
from bidsface_decoding.searchlight import SearchlightOptions

CITATIONS: Mapping[str, str] = {
    "kriegeskorte2006": "@article{kriegeskorte2006, author = {Kriegeskorte, Nikolaus and Goebel, "
    "Rainer and Bandettini, Peter}, title = {Information-based functional brain mapping}, "
    "journal = {Proceedings of the National Academy of Sciences}, volume = {103}, "
    "pages = {3863--3868}, year = {2006}, doi = {10.1073/pnas.0600244103}}",
    "allefeld2016": '@article{allefeld2016, author = {Allefeld, Carsten and G{\\"o}rgen, Kai and '
    "Haynes, John-Dylan}, title = {Valid population inference for information-based imaging: from "
    "the second-level t-test to prevalence inference}, journal = {NeuroImage}, volume = {141}, "
    "pages = {378--392}, year = {2016}, doi = {10.1016/j.neuroimage.2016.07.040}}",
}

ESTIMATOR_TEXTS: Mapping[str, str] = {
    "ridge": "ridge regression on class indicators",
    "lda": "linear discriminant analysis with a shrunken pooled covariance [@ledoit2004]",
    "gnb": "Gaussian naive Bayes [@pedregosa2011]",
}

DEFAULT_TEXTS: Mapping[str, str] = {
    "ridge": "the penalty being the number of voxels in the sphere",
    "lda": "Ledoit and Wolf's shrinkage",
    "gnb": "var_smoothing = 1e-09",
}


def participant_methods(options: SearchlightOptions, region: str) -> str:
    """Describe the analysis of one participant."""
    values = ", ".join(f"{key} = {value}" for key, value in options.estimator_options.items())
    details = values or DEFAULT_TEXTS[options.estimator]
    sentences = [
        f"In a searchlight [@kriegeskorte2006], classes were decoded from all voxels within "
        f"{options.radius:g} mm around every voxel of {region} by "
        f"{ESTIMATOR_TEXTS[options.estimator]} ({details}), in leave-one-run-out "
        "cross-validation. Voxels were scaled to mean 0 and standard deviation 1 of the training "
        "runs. Across tasks, the classifier was trained on the training runs of one task and "
        "tested on the left-out run number of the other, each task being scaled by its own "
        "training runs. The score of the sphere's central voxel is the "
        f"{METRICS[options.metric].description}, averaged over folds."
    ]
    if options.permutations:
        sentences.append(
            f"Up to {options.permutations} maps were made with the labels of events permuted "
            "within runs [@etzel2015]. p is (1 + the number of permuted maps that score at least "
            "as well in the voxel) / (1 + their number) [@phipson2010], corrected over voxels by "
            "the largest score of every permuted map [@nichols2002]."
        )
    return " ".join(sentences)


def group_methods(options: SearchlightOptions) -> str:
    """Describe the analysis of the group."""
    sentences = ["Maps were averaged over participants, in the voxels that all of them have."]
    if options.permutations:
        sentences.append(
            f"The mean was compared with {options.group_draws} means of one permuted map of every "
            "participant, drawn independently [@stelzer2013], and corrected over voxels by the "
            "largest mean of every draw [@nichols2002]."
        )
    if options.permutations and options.prevalence is not None:
        sentences.append(
            "The smallest score over participants was tested in the same way, which says how many "
            "people of the population have the effect [@allefeld2016]: the largest prevalence "
            "that is rejected at 0.05, corrected over voxels, and p of the hypothesis that the "
            f"prevalence is at most {options.prevalence:g}."
        )
    return " ".join(sentences)


def citations_of(written: str) -> dict[str, str]:
    """Return the entries that a text cites."""
    return cited(written, {**text.CITATIONS, **CITATIONS})
