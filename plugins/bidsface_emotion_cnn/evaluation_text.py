"""Methods text of evaluations, with its citations."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from bidsface.analysis import cited
from bidsface_emotion_cnn.evaluation import EvaluationSettings

CITATIONS: Mapping[str, str] = {
    "pedregosa2011": "@article{pedregosa2011, author = {Pedregosa, Fabian and Varoquaux, "
    'Ga{\\"e}l and Gramfort, Alexandre and others}, title = {Scikit-learn: machine learning in '
    "{P}ython}, journal = {Journal of Machine Learning Research}, volume = {12}, "
    "pages = {2825--2830}, year = {2011}}",
    "varoquaux2017": '@article{varoquaux2017, author = {Varoquaux, Ga{\\"e}l and Reddy Raamana, '
    "Pradeep and Engemann, Denis A. and Hoyos-Idrobo, Andr{\\'e}s and Schwartz, Yannick and "
    "Thirion, Bertrand}, title = {Assessing and tuning brain decoders: cross-validation, caveats, "
    "and guidelines}, journal = {NeuroImage}, volume = {145}, pages = {166--179}, year = {2017}, "
    "doi = {10.1016/j.neuroimage.2016.10.038}}",
    "kapoor2023": "@article{kapoor2023, author = {Kapoor, Sayash and Narayanan, Arvind}, "
    "title = {Leakage and the reproducibility crisis in machine-learning-based science}, "
    "journal = {Patterns}, volume = {4}, pages = {100804}, year = {2023}, "
    "doi = {10.1016/j.patter.2023.100804}}",
    "guo2017": "@inproceedings{guo2017, author = {Guo, Chuan and Pleiss, Geoff and Sun, Yu and "
    "Weinberger, Kilian Q.}, title = {On calibration of modern neural networks}, "
    "booktitle = {International Conference on Machine Learning}, volume = {70}, "
    "pages = {1321--1330}, year = {2017}}",
    "fawcett2006": "@article{fawcett2006, author = {Fawcett, Tom}, title = {An introduction to "
    "{ROC} analysis}, journal = {Pattern Recognition Letters}, volume = {27}, pages = {861--874}, "
    "year = {2006}, doi = {10.1016/j.patrec.2005.10.010}}",
    "hesterberg2015": "@article{hesterberg2015, author = {Hesterberg, Tim C.}, title = {What "
    "teachers should know about the bootstrap: resampling in the undergraduate statistics "
    "curriculum}, journal = {The American Statistician}, volume = {69}, pages = {371--386}, "
    "year = {2015}, doi = {10.1080/00031305.2015.1089789}}",
    "kauppi2010": "@article{kauppi2010, author = {Kauppi, Jukka-Pekka and "
    'J{\\"a}{\\"a}skel{\\"a}inen, Iiro P. and Sams, Mikko and Tohka, Jussi}, title = '
    "{Inter-subject correlation of brain hemodynamic responses during watching a movie: "
    "localization in space and frequency}, journal = {Frontiers in Neuroinformatics}, "
    "volume = {4}, pages = {5}, year = {2010}, doi = {10.3389/fninf.2010.00005}}",
    "stephenson2008": "@article{stephenson2008, author = {Stephenson, David B. and Coelho, Caio "
    "A. S. and Jolliffe, Ian T.}, title = {Two extra components in the {B}rier score "
    "decomposition}, journal = {Weather and Forecasting}, volume = {23}, pages = {752--757}, "
    "year = {2008}, doi = {10.1175/2007WAF2006116.1}}",
    "parker2007": '@article{parker2007, author = {Parker, Brian J. and G{\\"u}nter, Simon and '
    "Bedo, Justin}, title = {Stratification bias in low signal microarray studies}, "
    "journal = {BMC Bioinformatics}, volume = {8}, pages = {326}, year = {2007}, "
    "doi = {10.1186/1471-2105-8-326}}",
    "wilcoxon1945": "@article{wilcoxon1945, author = {Wilcoxon, Frank}, title = {Individual "
    "comparisons by ranking methods}, journal = {Biometrics Bulletin}, volume = {1}, "
    "pages = {80--83}, year = {1945}, doi = {10.2307/3001968}}",
    "phipson2010": "@article{phipson2010, author = {Phipson, Belinda and Smyth, Gordon K.}, "
    "title = {Permutation p-values should never be zero: calculating exact p-values when "
    "permutations are randomly drawn}, journal = {Statistical Applications in Genetics and "
    "Molecular Biology}, volume = {9}, pages = {39}, year = {2010}, "
    "doi = {10.2202/1544-6115.1585}}",
    "benjamini1995": "@article{benjamini1995, author = {Benjamini, Yoav and Hochberg, Yosef}, "
    "title = {Controlling the false discovery rate: a practical and powerful approach to multiple "
    "testing}, journal = {Journal of the Royal Statistical Society B}, volume = {57}, "
    "pages = {289--300}, year = {1995}, doi = {10.1111/j.2517-6161.1995.tb02031.x}}",
}

SCHEME_TEXTS: Mapping[str, str] = {
    "runs": "by run: the runs of {n_folds} folds were held out in all participants at once, one "
    "more run served for validation, and the others for training",
    "participants": "by participant: {n_folds} groups of participants were held out, and some of "
    "the others served for validation",
    "random": "at random over volumes ({share:.0f} % tested, {n_folds} times), as published, for "
    "comparison only, since neighbouring volumes are in all parts",
}

FILM_TEXTS: Mapping[str, str] = {
    "runs": ", so that no second of the film was in two parts",
    "participants": "; the same seconds of the film were in all parts",
    "random": ", and so is the same second of the film in other participants",
}
"""What the splits mean where all participants have seen one film."""


def methods(
    n_folds: Mapping[str, int],
    test_share: float,
    settings: EvaluationSettings,
    *,
    film: bool,
    threshold: float | None = None,
    scaled: bool = False,
    margin: float | None = None,
    trained_again: bool = False,
) -> str:
    """Describe how classifiers were evaluated.

    Parameters
    ----------
    n_folds : mapping of str to int
        Number of folds by split, in the order of the report.
    test_share : float
        Of the random split.
    settings : EvaluationSettings
    film : bool
        Whether labels belong to a film that all have seen.
    threshold : float, optional
        Of the leakage audit; None where there was none.
    scaled : bool
        Whether probabilities were also scaled by a temperature.
    margin : float, optional
        s of the film; what is nearer to a tested segment was left out of training.
    trained_again : bool
        Whether classifiers were trained on fewer volumes for the audit.
    """
    sentences = [
        _split_text(n_folds, test_share, film, margin),
        "Of the held-out volumes accuracy, balanced accuracy (chance: one over the number of "
        "classes), the share recognized of every class, and the area under the receiver operating "
        "characteristic of every class against all others [@fawcett2006; @pedregosa2011], of pairs "
        "of volumes that the same fold tested [@parker2007], are "
        f"given, with {100 * settings.level:.0f} % confidence intervals from "
        f"{settings.n_resamples:,} resamples of participants, whose percentiles were expanded for "
        "their number [@hesterberg2015].",
        *_test_texts(n_folds, settings, film),
        *_calibration_texts(settings, scaled),
        *_audit_texts(threshold, trained_again),
    ]
    return " ".join(sentences)


def _split_text(
    n_folds: Mapping[str, int], test_share: float, film: bool, margin: float | None
) -> str:
    texts = [
        SCHEME_TEXTS[scheme].format(n_folds=number, share=100 * test_share)
        + (FILM_TEXTS[scheme] if film else "")
        for scheme, number in n_folds.items()
    ]
    split = f"Volumes were split {'; and '.join(texts)} [@varoquaux2017; @kapoor2023]."
    if margin is None or "runs" not in n_folds:
        return split
    return (
        f"{split} Where film segments were held out, volumes within {margin:g} s of the film of "
        "tested ones, across the borders of segments, were left out of the other parts."
    )


def _test_texts(schemes: Collection[str], settings: EvaluationSettings, film: bool) -> list[str]:
    texts = []
    if film and "runs" in schemes:
        texts.append(
            "Where runs were held out, scores were compared with those of up to "
            f"{settings.n_shifts:,} circular shifts of the film's labels within segments, by "
            "blocks of one label and alike for all participants [@kauppi2010], since neither the "
            "volumes of a block nor the viewers of one film are exchangeable. The labels of every "
            "segment have trained what predicts the others, so that scores of folds vary together; "
            "scores under shifts were therefore moved away from their mean by a factor of the "
            "square root of 2, which is the most that pairs of segments can add to it. p is (1 + "
            "the number of shifts that scored at least as well) / (1 + their number) "
            "[@phipson2010], one-tailed, for classes adjusted by the false discovery rate "
            "[@benjamini1995]."
        )
    if not {"runs", "participants"}.isdisjoint(schemes):
        limit = (
            ": these speak of other people who see the same film, in whom responses to its moments "
            "may be alike whatever the emotion, and not of other films"
        )
        texts.append(
            "Participants' balanced accuracies were compared with chance by exact one-tailed "
            f"Wilcoxon signed-rank tests [@wilcoxon1945]{limit if film else ''}."
        )
    return texts


def _calibration_texts(settings: EvaluationSettings, scaled: bool) -> list[str]:
    texts = [
        "Calibration is described by the expected calibration error of the predicted class, in "
        f"{settings.n_bins} bins of equal width and of equal mass [@guo2017], and by the Brier "
        "score of all classes with its components [@stephenson2008]."
    ]
    if scaled:
        texts.append(
            "The temperature of the probabilities was fitted in every fold to the validation part, "
            "by which training was also stopped [@guo2017]."
        )
    return texts


def _audit_texts(threshold: float | None, trained_again: bool) -> list[str]:
    if threshold is None:
        return []
    again = (
        "For this comparison, classifiers with more volumes to train on than a more honest split "
        "left were trained again on as many, drawn within classes."
    )
    return [
        "The same classifiers were compared between splits [@kapoor2023] by participants' balanced "
        "accuracies, the share recognized of a class being the mean over folds, and by areas under "
        "the curves of volumes that the same fold tested [@parker2007], participants being "
        "resampled for both splits alike; a difference counts as leakage if its interval is above "
        f"0 and it is above {threshold:g}.",
        *([again] if trained_again else []),
    ]


def citations_of(written: str) -> dict[str, str]:
    """Return the entries that a text cites."""
    return cited(written, CITATIONS)
