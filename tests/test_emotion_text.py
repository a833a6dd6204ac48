"""Methods of emotion networks: they tell everything that options can change."""

from pathlib import Path

import yaml

import bidsface_emotion_cnn
from bidsface_emotion_cnn.emotion_text import citations_of, group_methods, participant_methods
from bidsface_emotion_cnn.options import EmotionOptions


def options(**changes):
    return EmotionOptions.model_validate(changes)


def recipe():
    """Return the options of the network in the recipe that ships."""
    folder = Path(bidsface_emotion_cnn.__file__).parent / "recipes"
    written = yaml.safe_load((folder / "emotion-cnn.yaml").read_text())
    own = dict(written["analyses"]["emotions"])
    assert own.pop("analysis") == "emotion-cnn"
    return EmotionOptions.model_validate(own)


def test_methods_say_where_labels_come_from():
    text = participant_methods(options())
    assert "Volumes were labelled with the class of the event" in text
    assert "4 s being allowed" in text
    assert citations_of(text) == {}
    noted = {
        "source": "annotations",
        "files": ["noted.csv"],
        "threshold": 5,
        "ties": "drop",
        "shift": 3.0,
        "per_class": 70,
        "repetition_time": 2.0,
    }
    assert participant_methods(options(labels=noted)).startswith("Observers had noted")
    text = participant_methods(options(labels=noted), 9)
    for part in (
        "9 observers had noted",
        "at least 5 observers",
        "equally frequent emotions were left out",
        "3 s later",
        "70 volumes were drawn",
        "volumes of 2 s;",
    ):
        assert part in text
    assert set(citations_of(text)) == {"labs2015", "hanke2016"}


def test_methods_of_the_recipe_that_ships():
    text = participant_methods(recipe())
    assert "more than half of the observers" in text
    assert "volumes as long as those of the runs;" in text
    assert "fewer than 70 volumes were left out" in text
    assert "Every class had the same weight" in group_methods(recipe(), 5, 424_549)


def test_methods_say_what_was_done_with_volumes():
    plain = participant_methods(options())
    assert "smoothed" not in plain
    text = participant_methods(options(smoothing_fwhm=6.0, high_pass=100.0, scaling="volume"))
    for part in ("half maximum 6 mm", "slower than 100 s", "every volume was scaled"):
        assert part in text
    raw = participant_methods(options(high_pass=None, confounds=False, scaling="none"))
    assert raw.endswith("Intensities were used as they were.")
    assert "Blocks of" not in group_methods(options(), 5, 10)
    assert "Blocks of 3 x 3 x 3 voxels" in group_methods(options(downsample=3), 5, 10)


def test_methods_say_how_networks_were_trained():
    plain = group_methods(options(), 5, 424_549)
    for part in (
        "emotion-cnn, 424,549 parameters, 5 classes",
        "weight decay 0.0001",
        "dropout 0.3",
    ):
        assert part in plain
    assert set(citations_of(plain)) == {"sandler2018", "paszke2019", "loshchilov2019"}
    for part in ("same weight", "moved by", "noise", "norm", "mixed"):
        assert part not in plain
    training = {
        "network": "plain-cnn",
        "class_weights": "balanced",
        "augment": {"max_shift": 2, "noise_sd": 0.5},
        "gradient_clip": 1.5,
        "patience": None,
    }
    text = group_methods(options(training=training), 5, 10, mixed=True)
    for part in (
        "average pooling",
        "same weight in the loss",
        "also in the regression",
        "moved by up to 2 voxels along every axis, at random and given Gaussian noise",
        "deviation 0.5",
        "a norm of 1.5",
        "mixed precision",
    ):
        assert part in text
    assert "until" not in text
    alone = group_methods(options(training=training, baseline=False), 5, 10)
    assert "regression" not in alone
