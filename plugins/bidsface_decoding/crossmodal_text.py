"""Methods text of decoding within and across tasks, with its citations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bidsface.analysis import cited
from bidsface_decoding import text
from bidsface_decoding.crossmodal_options import CROSS, REALIGNED, WITHIN, CrossmodalOptions
from bidsface_decoding.scoring import METRICS

CITATIONS: Mapping[str, str] = {
    **text.CITATIONS,
    "volynets2020": "@article{volynets2020, author = {Volynets, Sofia and Smirnov, Dmitry and "
    'Saarim{\\"a}ki, Heini and Nummenmaa, Lauri}, title = {Statistical pattern recognition '
    "reveals shared neural signatures for displaying and recognizing specific facial "
    "expressions}, journal = {Social Cognitive and Affective Neuroscience}, volume = {15}, "
    "pages = {803--813}, year = {2020}, doi = {10.1093/scan/nsaa110}}",
    "klami2013": "@article{klami2013, author = {Klami, Arto and Virtanen, Seppo and Kaski, "
    "Samuel}, title = {{B}ayesian canonical correlation analysis}, journal = {Journal of Machine "
    "Learning Research}, volume = {14}, pages = {965--1003}, year = {2013}}",
    "haxby2011": "@article{haxby2011, author = {Haxby, James V. and Guntupalli, J. Swaroop and "
    "Connolly, Andrew C. and Halchenko, Yaroslav O. and Conroy, Bryan R. and Gobbini, M. Ida and "
    "Hanke, Michael and Ramadge, Peter J.}, title = {A common, high-dimensional model of the "
    "representational space in human ventral temporal cortex}, journal = {Neuron}, volume = {72}, "
    "pages = {404--416}, year = {2011}, doi = {10.1016/j.neuron.2011.08.026}}",
    "chen2015": "@inproceedings{chen2015, author = {Chen, Po-Hsuan and Chen, Janice and "
    "Yeshurun, Yaara and Hasson, Uri and Haxby, James V. and Ramadge, Peter J.}, title = {A "
    "reduced-dimension {fMRI} shared response model}, booktitle = {Advances in Neural Information "
    "Processing Systems}, volume = {28}, pages = {460--468}, year = {2015}}",
}

ALIGNER_TEXTS: Mapping[str, str] = {
    "bcca": "Bayesian canonical correlation analysis [@klami2013]",
    "procrustes": "Procrustes alignment [@haxby2011]",
    "ridge-alignment": "ridge regression of one task's samples on the other's",
    "srm": "a shared response model [@chen2015]",
}

CONDITION_TEXTS: Mapping[str, str] = {
    WITHIN: "within each task",
    CROSS: "from each task to the other",
    REALIGNED: "from each task to the other after realignment",
}


def participant_methods(options: CrossmodalOptions) -> str:
    """Describe the analysis of one participant."""
    wanted = [CONDITION_TEXTS[kind] for kind in CONDITION_TEXTS if kind in options.conditions]
    sentences = [
        f"Classes were decoded {listed(wanted)} [@volynets2020] by "
        f"{text.estimators_text(options)}.",
        "In every fold the runs of one number were left out of all tasks: classifiers were trained "
        "on the other runs of one task and tested on the left-out run of the same task or of "
        "another. The features of each task were scaled to mean 0 and standard deviation 1, both "
        "taken from its own training runs.",
        f"Performance is the {METRICS[options.metric].description}, averaged over folds.",
    ]
    if REALIGNED in options.conditions:
        names = listed([_aligner(name, options) for name in dict.fromkeys(options.aligners)])
        sentences.append(
            f"For realignment, {names} was fitted to the training runs of both tasks, whose "
            "samples were paired by class: the k-th sample of a class in one task with the k-th in "
            f"the other{_further_partners(options.pairings)}. "
            "The test samples were then mapped into the space of the training task. "
            "Neither labels nor samples of the left-out runs took part in scaling, alignment or "
            "training. As pairs know the classes, a realigned score shows that the tested task's "
            "patterns tell the classes apart; that the training task's do, too, is for the scores "
            "within that task to show."
        )
    if options.permutations:
        sentences.append(
            f"Scores were compared with up to {options.permutations} permutations of the labels of "
            "events within runs of all tasks [@ojala2010; @etzel2015], the same in all regions. "
            "Samples were paired, aligners fitted and classifiers trained anew for every one. p is "
            "(1 + the number of permutations that scored at least as well) / (1 + the number of "
            "permutations) [@phipson2010], one-tailed, adjusted over regions by the false discovery"
            " rate [@benjamini1995] or by the largest score of every permutation [@nichols2002]."
        )
    sentences.extend(_motion_sentences(options))
    if options.maps:
        sentences.append(
            "Weights of classifiers that were fitted to all samples of a task were turned into "
            "activation patterns [@haufe2014]."
        )
    return " ".join(sentences)


def _further_partners(pairings: int) -> str:
    return (
        f", and with {pairings - 1} more, at equal distances in time, if the class has so many"
        if pairings > 1
        else ""
    )


def _motion_sentences(options: CrossmodalOptions) -> list[str]:
    sentences = []
    if options.motion_control:
        sentences.append(
            "To tell how much head motion alone gives away, the classes were also decoded, by "
            "ridge regression in the same folds, from the head-motion parameters."
        )
    if options.motion_regressed:
        sentences.append(
            "Everything was decoded once more after the samples' head-motion parameters had been "
            "regressed out of every voxel, with coefficients of each task's training runs."
        )
    return sentences


def _aligner(name: str, options: CrossmodalOptions) -> str:
    words = ALIGNER_TEXTS.get(name, f"the aligner {name}")
    parameters = options.aligner_options.get(name, {})
    values = ", ".join(f"{key} = {value}" for key, value in parameters.items())
    return f"{words} ({values})" if values else words


def listed(parts: Sequence[str]) -> str:
    """Join words to a list as in a sentence."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def citations_of(methods: str) -> dict[str, str]:
    """Return the entries that a text cites."""
    return cited(methods, CITATIONS)
