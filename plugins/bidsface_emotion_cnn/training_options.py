"""Options of training a network."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bidsface.analysis import AnalysisOptions


class AugmentationOptions(AnalysisOptions):
    """How training volumes are varied each time that they are used."""

    max_shift: int = Field(default=0, ge=0)
    """Every volume is moved by a random number of voxels, up to this many, along every axis; what
    comes in from the border is 0.
    """
    noise_sd: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Standard deviation of Gaussian noise added to voxels that are not 0, in units of the scaled
    volumes.
    """


class TrainingOptions(AnalysisOptions):
    """What is trained, and how; the defaults are those of the publication."""

    network: Literal["emotion-cnn", "emotion-cnn-small", "plain-cnn"] = "emotion-cnn"
    """`emotion-cnn`, the published network (424,549 parameters for five classes);
    `emotion-cnn-small`, a narrower one with a residual block, for less data; `plain-cnn`,
    convolutions with average pooling, for volumes of at least 8 voxels along every axis.
    """
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """Probability with which a pooled feature is left out in training."""
    epochs: int = Field(default=50, ge=1)
    """Most passes over the training volumes."""
    batch_size: int = Field(default=16, ge=2)
    """Volumes of one step; a single volume that is left over joins the last batch."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """AdamW, or stochastic gradient descent with momentum 0.9."""
    learning_rate: float = Field(default=1e-3, gt=0, allow_inf_nan=False)
    """Of the first epoch."""
    weight_decay: float = Field(default=1e-4, ge=0, allow_inf_nan=False)
    """Penalty on all parameters: in `adamw` their share that a step takes off, times the learning
    rate; in `sgd` that of an L2 penalty.
    """
    schedule: Literal["cosine", "constant"] = "cosine"
    """Learning rate over epochs: down to 0 along half a cosine, or always the same."""
    gradient_clip: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Longest gradient (Euclidean norm over all parameters) of a step; null for no limit."""
    class_weights: Literal["balanced", "none"] = "none"
    """Whether every class has the same weight in loss and accuracy, however many training volumes
    it has; `none` weighs all volumes alike.
    """
    patience: int | None = Field(default=10, ge=1)
    """Training stops after this many epochs without a better one on the validation part; null for
    never. The weights of the best epoch are kept in any case.
    """
    monitor: Literal["accuracy", "loss"] = "accuracy"
    """What makes an epoch better; the other one decides between equals."""
    augment: AugmentationOptions = AugmentationOptions()
    """How training volumes are varied; by default not at all."""
    precision: Literal["auto", "single", "mixed"] = "single"
    """Of the arithmetic in training: `mixed` (bfloat16 where it does no harm) only works on a GPU,
    `auto` is mixed on a GPU that is fast at it and single elsewhere. Networks are always applied in
    single precision.
    """
    checkpoint_steps: int = Field(default=200, ge=1)
    """Steps after which the state is saved, so that training goes on from there when it was
    interrupted; it is also saved after every epoch. It changes nothing in the results.
    """
