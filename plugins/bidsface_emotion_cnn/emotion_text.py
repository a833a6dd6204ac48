"""Methods text of the analysis ``emotion-cnn``, with its citations."""

from __future__ import annotations

from collections.abc import Mapping

from bidsface.analysis import cited
from bidsface_emotion_cnn import consensus_text
from bidsface_emotion_cnn.options import EmotionOptions
from bidsface_emotion_cnn.training_options import TrainingOptions

CITATIONS: Mapping[str, str] = {
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
    "kriegeskorte2008": "@article{kriegeskorte2008, author = {Kriegeskorte, Nikolaus and Mur, "
    "Marieke and Bandettini, Peter}, title = {Representational similarity analysis: connecting the "
    "branches of systems neuroscience}, journal = {Frontiers in Systems Neuroscience}, "
    "volume = {2}, pages = {4}, year = {2008}, doi = {10.3389/neuro.06.004.2008}}",
    "nili2014": "@article{nili2014, author = {Nili, Hamed and Wingfield, Cai and Walther, "
    "Alexander and Su, Li and Marslen-Wilson, William and Kriegeskorte, Nikolaus}, title = {A "
    "toolbox for representational similarity analysis}, journal = {PLoS Computational Biology}, "
    "volume = {10}, pages = {e1003553}, year = {2014}, doi = {10.1371/journal.pcbi.1003553}}",
    "benjamini1995": "@article{benjamini1995, author = {Benjamini, Yoav and Hochberg, Yosef}, "
    "title = {Controlling the false discovery rate: a practical and powerful approach to multiple "
    "testing}, journal = {Journal of the Royal Statistical Society B}, volume = {57}, "
    "pages = {289--300}, year = {1995}, doi = {10.1111/j.2517-6161.1995.tb02031.x}}",
    "mantel1967": "@article{mantel1967, author = {Mantel, Nathan}, title = {The detection of "
    "disease clustering and a generalized regression approach}, journal = {Cancer Research}, "
    "volume = {27}, pages = {209--220}, year = {1967}}",
}

SCALING_TEXTS: Mapping[str, str] = {
    "voxel": "every voxel was scaled to mean 0 and standard deviation 1 over the time of its run",
    "volume": "every volume was scaled to mean 0 and standard deviation 1 over the brain",
    "both": "every voxel was scaled to mean 0 and standard deviation 1 over the time of its run, "
    "and then every volume over the brain",
    "none": "intensities were used as they were",
}


def participant_methods(options: EmotionOptions, n_observers: int | None = None) -> str:
    """Return where labels come from, and what was done with the volumes of a participant.

    Parameters
    ----------
    options : EmotionOptions
    n_observers : int, optional
        Whose annotations there are.
    """
    sentences = [consensus_text.label_methods(options.labels, n_observers)]
    if options.smoothing_fwhm is not None:
        sentences.append(
            "Images were smoothed with a Gaussian of full width at half maximum "
            f"{options.smoothing_fwhm:g} mm."
        )
    return " ".join([*sentences, _cleaning_text(options)])


def _cleaning_text(options: EmotionOptions) -> str:
    removed = []
    if options.high_pass is not None:
        removed.append(f"drifts slower than {options.high_pass:g} s")
    if options.confounds:
        removed.append("the chosen confounds")
    scaled = SCALING_TEXTS[options.scaling]
    if removed:
        return f"From every run {' and '.join(removed)} were removed; {scaled}."
    return f"{scaled[0].upper()}{scaled[1:]}."


def group_methods(
    options: EmotionOptions, n_classes: int, n_parameters: int, mixed: bool = False
) -> str:
    """Return what was done over participants.

    Parameters
    ----------
    options : EmotionOptions
    n_classes, n_parameters : int
        Of the network.
    mixed : bool
        Whether training was done in mixed precision.
    """
    sentences = []
    if options.downsample > 1:
        edge = " x ".join(3 * [str(options.downsample)])
        sentences.append(f"Blocks of {edge} voxels were averaged.")
    sentences.append(_network_text(options, n_classes, n_parameters))
    sentences.extend(_training_texts(options.training, options.baseline, mixed))
    return " ".join(sentences)


def _network_text(options: EmotionOptions, n_classes: int, n_parameters: int) -> str:
    training = options.training
    text = (
        f"A convolutional network over volumes ({training.network}, {n_parameters:,} parameters, "
        f"{n_classes} classes), built of {BUILT[training.network]}, was trained with PyTorch "
        f"[@paszke2019] for at most {training.epochs} epochs of batches of {training.batch_size} "
        f"volumes ({OPTIMIZER_TEXTS[training.optimizer]}, learning rate "
        f"{training.learning_rate:g}, {training.schedule} schedule, weight decay "
        f"{training.weight_decay:g}, dropout {training.dropout:g})"
    )
    if training.patience is not None:
        text += (
            f", until {training.patience} epochs brought no better {training.monitor} on a "
            "validation part that was neither trained on nor tested"
        )
    if options.baseline:
        text += (
            "; multinomial logistic regression was fitted to the same volumes, its penalty chosen "
            "on the same validation part"
        )
    return f"{text}."


def _training_texts(training: TrainingOptions, baseline: bool, mixed: bool) -> list[str]:
    """Return what is not so in every training."""
    texts = []
    if training.class_weights == "balanced":
        also = ", also in the regression" if baseline else ""
        texts.append(
            "Every class had the same weight in the loss and in the accuracy of the validation "
            f"part, however many training volumes it had{also}."
        )
    varied = []
    if training.augment.max_shift:
        varied.append(
            f"moved by up to {training.augment.max_shift} voxels along every axis, at random"
        )
    if training.augment.noise_sd:
        varied.append(
            "given Gaussian noise inside the brain (standard deviation "
            f"{training.augment.noise_sd:g})"
        )
    if varied:
        texts.append(
            f"Each time that they were used, training volumes were {' and '.join(varied)}."
        )
    if training.gradient_clip is not None:
        texts.append(f"Gradients were shortened to a norm of {training.gradient_clip:g}.")
    if mixed:
        texts.append("Training was done in mixed precision (bfloat16).")
    return texts


BUILT: Mapping[str, str] = {
    "emotion-cnn": "depthwise and pointwise convolutions [@sandler2018]",
    "emotion-cnn-small": "depthwise and pointwise convolutions [@sandler2018]",
    "plain-cnn": "convolutions with average pooling",
}

OPTIMIZER_TEXTS: Mapping[str, str] = {
    "adamw": "AdamW [@loshchilov2019]",
    "sgd": "stochastic gradient descent with momentum",
}

SIMILARITY: Mapping[bool, str] = {
    True: (
        "Dissimilarities (1 - r) between the mean activations of a network's layers for the "
        "classes of held-out runs were compared with those between the classes' mean volumes in "
        "each participant's other runs, voxels z-scored within participants [@kriegeskorte2008]: "
        "of the same volumes, activations are like the brain whatever the network has learned. "
        "Every mean is of as many volumes as the rarest class has, drawn several times. "
        "Correlations, averaged over participants and held-out runs, were tested by a Mantel test "
        "over the orders of the classes [@mantel1967], adjusted for the false discovery rate over "
        "regions and layers [@benjamini1995]; noise ceilings are the same average with the other "
        "participants' brains in the network's place, and the largest that any dissimilarities "
        "could reach [@nili2014]."
    ),
    False: (
        "Dissimilarities (1 - r) between the classes' mean volumes, voxels z-scored within "
        "participants, and between the network's mean activations for held-out volumes "
        "[@kriegeskorte2008] were correlated, from as many volumes of every class as the rarest "
        "one has, drawn several times. Both come from the same runs, so that they are alike "
        "whatever the network has learned: the correlations are descriptive and were not tested."
    ),
}
"""Of the comparison of brain and network, by whether it was made across runs."""


def citations_of(text: str) -> dict[str, str]:
    """Return the entries that a text cites."""
    return cited(text, {**consensus_text.CITATIONS, **CITATIONS})
