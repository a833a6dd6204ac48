"""Methods text of what was done, with its citations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bidsface.analysis import cited
from bidsface_glm.contrasts import Weights
from bidsface_glm.options import GlmOptions

CITATIONS: Mapping[str, str] = {
    "friston1994": "@article{friston1994, author = {Friston, Karl J. and Holmes, Andrew P. and "
    "Worsley, Keith J. and Poline, Jean-Baptiste and Frith, Chris D. and Frackowiak, Richard S. "
    "J.}, title = {Statistical parametric maps in functional imaging: a general linear approach}, "
    "journal = {Human Brain Mapping}, volume = {2}, pages = {189--210}, year = {1994}, "
    "doi = {10.1002/hbm.460020402}}",
    "glover1999": "@article{glover1999, author = {Glover, Gary H.}, title = {Deconvolution of "
    "impulse response in event-related {BOLD} {fMRI}}, journal = {NeuroImage}, volume = {9}, "
    "pages = {416--429}, year = {1999}, doi = {10.1006/nimg.1998.0419}}",
    "friston1998": "@article{friston1998, author = {Friston, Karl J. and Fletcher, Paul and "
    "Josephs, Oliver and Holmes, Andrew and Rugg, Michael D. and Turner, Robert}, "
    "title = {Event-related {fMRI}: characterizing differential responses}, journal = "
    "{NeuroImage}, volume = {7}, pages = {30--40}, year = {1998}, doi = {10.1006/nimg.1997.0306}}",
    "woolrich2001": "@article{woolrich2001, author = {Woolrich, Mark W. and Ripley, Brian D. and "
    "Brady, Michael and Smith, Stephen M.}, title = {Temporal autocorrelation in univariate linear "
    "modeling of {FMRI} data}, journal = {NeuroImage}, volume = {14}, pages = {1370--1386}, "
    "year = {2001}, doi = {10.1006/nimg.2001.0931}}",
    "abraham2014": "@article{abraham2014, author = {Abraham, Alexandre and Pedregosa, Fabian and "
    "Eickenberg, Michael and Gervais, Philippe and Mueller, Andreas and Kossaifi, Jean and "
    'Gramfort, Alexandre and Thirion, Bertrand and Varoquaux, Ga{\\"e}l}, title = {Machine '
    "learning for neuroimaging with scikit-learn}, journal = {Frontiers in Neuroinformatics}, "
    "volume = {8}, pages = {14}, year = {2014}, doi = {10.3389/fninf.2014.00014}}",
    "benjamini1995": "@article{benjamini1995, author = {Benjamini, Yoav and Hochberg, Yosef}, "
    "title = {Controlling the false discovery rate: a practical and powerful approach to multiple "
    "testing}, journal = {Journal of the Royal Statistical Society B}, volume = {57}, "
    "pages = {289--300}, year = {1995}, doi = {10.1111/j.2517-6161.1995.tb02031.x}}",
    "genovese2002": "@article{genovese2002, author = {Genovese, Christopher R. and Lazar, Nicole "
    "A. and Nichols, Thomas}, title = {Thresholding of statistical maps in functional neuroimaging "
    "using the false discovery rate}, journal = {NeuroImage}, volume = {15}, pages = {870--878}, "
    "year = {2002}, doi = {10.1006/nimg.2001.1037}}",
    "nichols2002": "@article{nichols2002, author = {Nichols, Thomas E. and Holmes, Andrew P.}, "
    "title = {Nonparametric permutation tests for functional neuroimaging: a primer with "
    "examples}, journal = {Human Brain Mapping}, volume = {15}, pages = {1--25}, year = {2002}, "
    "doi = {10.1002/hbm.1058}}",
    "freedman1983": "@article{freedman1983, author = {Freedman, David and Lane, David}, "
    "title = {A nonstochastic interpretation of reported significance levels}, journal = {Journal "
    "of Business and Economic Statistics}, volume = {1}, pages = {292--298}, year = {1983}, "
    "doi = {10.1080/07350015.1983.10509354}}",
    "holmes1998": "@article{holmes1998, author = {Holmes, Andrew P. and Friston, Karl J.}, "
    "title = {Generalisability, random effects and population inference}, journal = {NeuroImage}, "
    "volume = {7}, pages = {S754}, year = {1998}, doi = {10.1016/S1053-8119(18)31587-8}}",
    "esterman2010": "@article{esterman2010, author = {Esterman, Michael and Tamber-Rosenau, "
    "Benjamin J. and Chiu, Yu-Chin and Yantis, Steven}, title = {Avoiding non-independence in "
    "{fMRI} data analysis: leave one subject out}, journal = {NeuroImage}, volume = {50}, "
    "pages = {572--576}, year = {2010}, doi = {10.1016/j.neuroimage.2009.10.092}}",
}

HRF_TEXTS: Mapping[str, str] = {
    "glover": "Glover's haemodynamic response function [@glover1999]",
    "spm": "SPM's haemodynamic response function [@friston1998]",
}

DERIVATIVE_TEXTS: Mapping[str, str] = {
    "none": "",
    "time": " and its derivative in time",
    "dispersion": " and its derivatives in time and dispersion",
}

DRIFT_TEXTS: Mapping[str, str] = {
    "cosine": "cosine drifts with a cut-off period of {high_pass:g} s",
    "polynomial": "polynomial drifts up to order {drift_order}",
    "none": "no drifts",
}

NOISE_TEXTS: Mapping[str, str] = {
    "ar1": "prewhitened with an autoregressive model of order 1 [@woolrich2001]",
    "ols": "fitted by ordinary least squares",
}

SCALING_TEXTS: Mapping[str, str] = {
    "voxel": "scaled to percent of each voxel's mean",
    "grand": "scaled to percent of the mean over brain and run",
    "none": "not scaled",
}

CORRECTION_TEXTS: Mapping[str, str] = {
    "fdr": "the false discovery rate [@benjamini1995; @genovese2002]",
    "bonferroni": "Bonferroni's correction",
    "cluster": "an uncorrected threshold of p < {cluster_forming_p:g} with clusters of at least "
    "{cluster_extent} voxels (which controls no error rate)",
    "permutation": "the largest t of {n_permutations} random sign flips of participants' maps, or "
    "for covariates permutations of them after those of no interest were regressed out "
    "[@nichols2002; @freedman1983]",
}


def participant_methods(options: GlmOptions) -> str:
    """Describe the models of a participant."""
    values = options.model_dump()
    smoothing = (
        "Volumes were not smoothed"
        if options.smoothing_fwhm is None
        else f"Volumes were smoothed with a Gaussian of {options.smoothing_fwhm:g} mm full width "
        "at half maximum"
    )
    others = ", and the other events too," if options.other_events else ""
    confounds = "the confounds of the cleaning" if options.confounds else "no confounds"
    weighting = "weighted by their precision" if options.precision_weighted else "weighted equally"
    return (
        f"{smoothing} and {SCALING_TEXTS[options.scaling]}. The response of every voxel and run "
        f"was modelled by a general linear model [@friston1994] with nilearn [@abraham2014]: one "
        f"boxcar per condition{others} convolved with {HRF_TEXTS[options.hrf]}"
        f"{DERIVATIVE_TEXTS[options.derivatives]}, {confounds}, "
        f"{DRIFT_TEXTS[options.drift].format(**values)} and a constant, "
        f"{NOISE_TEXTS[options.noise_model]}. Contrasts were combined over runs by fixed effects, "
        f"runs being {weighting}."
    )


def group_methods(options: GlmOptions) -> str:
    """Describe the group level."""
    values = options.model_dump()
    sides = "two-sided" if options.two_sided else "one-sided"
    covariates = (
        f" and the centred covariates {', '.join(options.covariates)}" if options.covariates else ""
    )
    sentences = [
        "Participants' effects were compared with 0 by a random-effects model [@holmes1998] of "
        f"their mean{covariates} (t tests, {sides}), in the voxels that all of them have."
    ]
    if options.corrections:
        corrections = [CORRECTION_TEXTS[name].format(**values) for name in options.corrections]
        sentences.append(
            f"The number of voxels was corrected for by {'; by '.join(corrections)}; maps were "
            f"thresholded at {options.alpha:g}."
        )
    if options.permutation_clusters and "permutation" in options.corrections:
        sentences.append(
            "The same permutations tested the size of clusters, which were formed at an "
            f"uncorrected p < {options.cluster_forming_p:g}."
        )
    if options.leave_one_out:
        sentences.append(
            "For regions that are to be independent of a participant's own data, the test was "
            "repeated without each of them in turn [@esterman2010]."
        )
    return " ".join(sentences)


def citations_of(text: str) -> dict[str, str]:
    """Return the entries that a text cites."""
    return cited(text, CITATIONS)


def weights_text(weights: Weights) -> str:
    """Write a contrast as a sum: ``joy - 0.5 anger``."""
    parts: list[str] = []
    for name, weight in weights.items():
        sign = ("- " if parts else "-") if weight < 0 else ("+ " if parts else "")
        size = "" if abs(weight) == 1 else f"{abs(weight):.3g} "
        parts.append(f"{sign}{size}{name}")
    return " ".join(parts)


def listed(names: Sequence[str]) -> str:
    """Join names: ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
