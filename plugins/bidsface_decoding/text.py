"""Methods text of what was done, with its citations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bidsface.analysis import cited
from bidsface_decoding.options import DecodingOptions, NamesEstimators
from bidsface_decoding.scoring import METRICS

CITATIONS: Mapping[str, str] = {
    "haufe2014": '@article{haufe2014, author = {Haufe, Stefan and Meinecke, Frank and G{\\"o}rgen, '
    'Kai and D{\\"a}hne, Sven and Haynes, John-Dylan and Blankertz, Benjamin and '
    "Bie{\\ss}mann, Felix}, title = {On the interpretation of weight vectors of linear models in "
    "multivariate neuroimaging}, journal = {NeuroImage}, volume = {87}, pages = {96--110}, "
    "year = {2014}, doi = {10.1016/j.neuroimage.2013.10.067}}",
    "ojala2010": "@article{ojala2010, author = {Ojala, Markus and Garriga, Gemma C.}, "
    "title = {Permutation tests for studying classifier performance}, journal = {Journal of "
    "Machine Learning Research}, volume = {11}, pages = {1833--1863}, year = {2010}}",
    "etzel2015": "@inproceedings{etzel2015, author = {Etzel, Joset A.}, title = {{MVPA} "
    "permutation schemes: permutation testing for the group level}, booktitle = {International "
    "Workshop on Pattern Recognition in NeuroImaging}, pages = {65--68}, year = {2015}, "
    "doi = {10.1109/PRNI.2015.29}}",
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
    "ledoit2004": "@article{ledoit2004, author = {Ledoit, Olivier and Wolf, Michael}, "
    "title = {A well-conditioned estimator for large-dimensional covariance matrices}, "
    "journal = {Journal of Multivariate Analysis}, volume = {88}, pages = {365--411}, "
    "year = {2004}, doi = {10.1016/S0047-259X(03)00096-4}}",
    "vangerven2010": "@article{vangerven2010, author = {van Gerven, Marcel A. J. and Cseke, Botond "
    "and de Lange, Floris P. and Heskes, Tom}, title = {Efficient {B}ayesian multivariate {fMRI} "
    "analysis using a sparsifying spatio-temporal prior}, journal = {NeuroImage}, volume = {50}, "
    "pages = {150--161}, year = {2010}, doi = {10.1016/j.neuroimage.2009.11.064}}",
    "williams1995": "@article{williams1995, author = {Williams, Peter M.}, title = {Bayesian "
    "regularization and pruning using a {L}aplace prior}, journal = {Neural Computation}, "
    "volume = {7}, pages = {117--143}, year = {1995}, doi = {10.1162/neco.1995.7.1.117}}",
    "pedregosa2011": "@article{pedregosa2011, author = {Pedregosa, Fabian and Varoquaux, "
    'Ga{\\"e}l and Gramfort, Alexandre and others}, title = {Scikit-learn: machine learning in '
    "{P}ython}, journal = {Journal of Machine Learning Research}, volume = {12}, "
    "pages = {2825--2830}, year = {2011}}",
}

ESTIMATOR_TEXTS: Mapping[str, str] = {
    "ridge": "ridge regression on class indicators",
    "svm": "a linear support vector machine [@pedregosa2011]",
    "lda": "linear discriminant analysis with Ledoit-Wolf shrinkage of the pooled covariance "
    "[@ledoit2004]",
    "logistic": "multinomial logistic regression with an L2 penalty [@pedregosa2011]",
    "bayes": "Bayesian logistic regression, one class against the rest, with a sparsifying Laplace "
    "prior [@williams1995] written as a scale mixture, its posterior approximated by expectation "
    "propagation [@vangerven2010]",
}

DEFAULT_TEXTS: Mapping[str, str] = {
    "ridge": "the penalty being the number of voxels",
    "svm": "C = 1",
    "logistic": "C = 1",
    "bayes": "scale = 1, for the bias 100",
}

FOLD_TEXTS: Mapping[str, str] = {
    "leave-one-run-out": "leave-one-run-out cross-validation",
    "k-fold": "cross-validation over {n_splits} groups of runs",
    "leave-one-session-out": "leave-one-session-out cross-validation",
}


def participant_methods(options: DecodingOptions) -> str:
    """Describe the analysis of one participant."""
    sentences = [
        f"Classes were decoded within each task by {estimators_text(options)}, in "
        f"{FOLD_TEXTS[options.cross_validation].format(n_splits=options.n_splits)}. Voxels were "
        "scaled to mean 0 and standard deviation 1, both taken from the training part only. "
        f"Performance is the {METRICS[options.metric].description}, averaged over folds.",
    ]
    if options.permutations:
        sentences.append(
            f"It was compared with up to {options.permutations} permutations of the labels of "
            "events within runs [@ojala2010; @etzel2015], the same in all regions; samples of one "
            "event kept one label. p is (1 + the number of permutations that scored at least as "
            "well) / (1 + the number of permutations) [@phipson2010], one-tailed, adjusted over "
            "regions by the false discovery rate [@benjamini1995] or by the largest score of "
            "every permutation [@nichols2002]."
        )
    if options.motion_control:
        sentences.append(
            "To tell how much head motion alone gives away, the classes were also decoded, by "
            "ridge regression in the same folds, from the head-motion parameters."
        )
    if options.maps:
        sentences.append(
            "Weights of classifiers that were fitted to all samples were turned into activation "
            "patterns [@haufe2014]."
        )
    return " ".join(sentences)


def group_methods(permuted: bool, group_draws: int) -> str:
    """Describe the tests of the group; ``permuted``: the participants have permutations."""
    sentences = [
        "Scores were averaged over participants, with t-based 95 % confidence intervals, and "
        "compared with chance by exact one-tailed Wilcoxon signed-rank tests [@wilcoxon1945], "
        "adjusted over regions by the false discovery rate [@benjamini1995]."
    ]
    if permuted:
        sentences.append(
            f"In addition, the group's mean was compared with {group_draws} means that "
            "were put together from one permutation of every participant, drawn independently "
            "[@stelzer2013], and corrected over regions by the largest mean of every draw "
            "[@nichols2002]."
        )
    return " ".join(sentences)


def citations_of(text: str) -> dict[str, str]:
    """Return the entries that a text cites."""
    return cited(text, CITATIONS)


def estimators_text(options: NamesEstimators) -> str:
    """Name the classifiers of options, with their parameters."""
    names: Sequence[str] = tuple(dict.fromkeys(options.estimators))
    texts = [_estimator(name, options.estimator_options.get(name, {})) for name in names]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def _estimator(name: str, parameters: Mapping[str, object]) -> str:
    text = ESTIMATOR_TEXTS.get(name, f"the classifier {name}")
    values = ", ".join(f"{key} = {value}" for key, value in parameters.items())
    details = values or DEFAULT_TEXTS.get(name)
    return f"{text} ({details})" if details else text
