"""Methods text of the analysis ``emotion-cnn``, with its citations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bidsface.analysis import cited
from bidsface_emotion_cnn.options import EmotionOptions

CITATIONS: Mapping[str, str] = {
    "labs2015": "@article{labs2015, author = {Labs, Annika and Reich, Theresa and Schulenburg, "
    "Helene and Boennen, Manuel and Gehrke, Mareike and Golz, Madleen and Hartigs, Benita and "
    "others and Hanke, Michael}, title = {Portrayed emotions in the movie ``{Forrest Gump}''}, "
    "journal = {F1000Research}, volume = {4}, pages = {92}, year = {2015}, "
    "doi = {10.12688/f1000research.6230.1}}",
    "sandler2018": "@inproceedings{sandler2018, author = {Sandler, Mark and Howard, Andrew and "
    "Zhu, Menglong and Zhmoginov, Andrey and Chen, Liang-Chieh}, title = {{MobileNetV2}: inverted "
    "residuals and linear bottlenecks}, booktitle = {IEEE Conference on Computer Vision and "
    "Pattern Recognition}, pages = {4510--4520}, year = {2018}, doi = {10.1109/CVPR.2018.00474}}",
    "loshchilov2019": "@inproceedings{loshchilov2019, author = {Loshchilov, Ilya and Hutter, "
    "Frank}, title = {Decoupled weight decay regularization}, booktitle = {International "
    "Conference on Learning Representations}, year = {2019}}",
    "paszke2019": "@inproceedings{paszke2019, author = {Paszke, Adam and Gross, Sam and Massa, "
    "Francisco and others}, title = {{PyTorch}: an imperative style, high-performance deep "
    "learning library}, booktitle = {Advances in Neural Information Processing Systems}, "
    "volume = {32}, year = {2019}}",
    "zeiler2014": "@inproceedings{zeiler2014, author = {Zeiler, Matthew D. and Fergus, Rob}, "
    "title = {Visualizing and understanding convolutional networks}, booktitle = {European "
    "Conference on Computer Vision}, pages = {818--833}, year = {2014}, "
    "doi = {10.1007/978-3-319-10590-1_53}}",
    "sundararajan2017": "@inproceedings{sundararajan2017, author = {Sundararajan, Mukund and Taly, "
    "Ankur and Yan, Qiqi}, title = {Axiomatic attribution for deep networks}, booktitle = "
    "{International Conference on Machine Learning}, pages = {3319--3328}, year = {2017}}",
    "smilkov2017": "@misc{smilkov2017, author = {Smilkov, Daniel and Thorat, Nikhil and Kim, Been "
    "and Vi{\\'e}gas, Fernanda and Wattenberg, Martin}, title = {{SmoothGrad}: removing noise by "
    "adding noise}, year = {2017}, eprint = {1706.03825}, archiveprefix = {arXiv}}",
    "kriegeskorte2008": "@article{kriegeskorte2008, author = {Kriegeskorte, Nikolaus and Mur, "
    "Marieke and Bandettini, Peter}, title = {Representational similarity analysis: connecting the "
    "branches of systems neuroscience}, journal = {Frontiers in Systems Neuroscience}, "
    "volume = {2}, pages = {4}, year = {2008}, doi = {10.3389/neuro.06.004.2008}}",
    "mantel1967": "@article{mantel1967, author = {Mantel, Nathan}, title = {The detection of "
    "disease clustering and a generalized regression approach}, journal = {Cancer Research}, "
    "volume = {27}, pages = {209--220}, year = {1967}}",
}

SCHEME_TEXTS: Mapping[str, str] = {
    "runs": "whole runs, in all participants at once",
    "participants": "all volumes of some participants",
    "random": "volumes drawn at random, whose neighbours in time and whose counterparts in other "
    "participants remain in training",
}

SCALING_TEXTS: Mapping[str, str] = {
    "voxel": "every voxel was scaled to mean 0 and standard deviation 1 over the time of its run",
    "volume": "every volume was scaled to mean 0 and standard deviation 1 over the brain",
    "both": "every voxel was scaled to mean 0 and standard deviation 1 over the time of its run, "
    "and then every volume over the brain",
    "none": "intensities were used as they were",
}

GRADIENT_TEXTS: Mapping[str, str] = {
    "integrated-gradients": "integrated gradients [@sundararajan2017]",
    "smooth-grad": "SmoothGrad [@smilkov2017]",
}


def participant_methods(options: EmotionOptions) -> str:
    """Return what was done with the volumes of a participant."""
    removed = []
    if options.high_pass is not None:
        removed.append(f"drifts slower than {options.high_pass:g} s")
    if options.confounds:
        removed.append("the chosen confounds")
    scaled = SCALING_TEXTS[options.scaling]
    if removed:
        return f"From every run {' and '.join(removed)} were removed; {scaled}."
    return f"{scaled[0].upper()}{scaled[1:]}."


def group_methods(options: EmotionOptions, n_classes: int, n_parameters: int) -> str:
    """Return what was done over participants."""
    training, first = options.training, options.schemes[0]
    held_out = "; ".join(f"({name}) {SCHEME_TEXTS[name]}" for name in options.schemes)
    parts = [
        f"A convolutional network over volumes ({training.network}, {n_parameters:,} parameters, "
        f"{n_classes} classes), built of depthwise and pointwise convolutions [@sandler2018], was "
        f"trained with PyTorch [@paszke2019] by {training.describe()}. Held out were {held_out}."
    ]
    if options.baseline:
        parts.append("Multinomial logistic regression was fitted to the same volumes.")
    if options.occlusion is not None:
        gradients = [GRADIENT_TEXTS[name] for name in options.occlusion.gradients]
        beside = f", beside {' and '.join(gradients)}" if gradients else ""
        parts.append(
            f"In held-out volumes ({first}) that the network classified correctly with a "
            f"probability above {options.occlusion.above:g}, at most "
            f"{options.occlusion.per_class} of a class, boxes of {options.occlusion.box} voxels "
            "were emptied one by one, and the change of the probability was noted "
            f"[@zeiler2014]{beside}. What a box changes was recomputed exactly, and nothing else."
        )
    parts.append(
        "Dissimilarities (1 - r) between the classes' mean volumes and between the network's mean "
        "features in held-out volumes [@kriegeskorte2008] were compared by a Mantel test "
        "[@mantel1967]."
    )
    return " ".join(parts)


def citations_of(*texts: str | Sequence[str]) -> dict[str, str]:
    """Return the entries that texts cite."""
    return cited(" ".join(map(str, texts)), CITATIONS)
