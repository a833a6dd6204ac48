"""The methods text of reading, cleaning, sampling and regions, with its references."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bidsface.analysis import Region
from bidsface.confounds import GROUPS, STRATEGY
from bidsface.recipe import Classes, Cleaning, Images, Recipe, SampleSpec

CITATIONS: Mapping[str, str] = {
    "esteban2019": """@article{esteban2019,
  author = {Esteban, Oscar and Markiewicz, Christopher J. and Blair, Ross W. and others},
  title = {{fMRIPrep}: a robust preprocessing pipeline for functional {MRI}},
  journal = {Nature Methods}, volume = {16}, pages = {111--116}, year = {2019},
  doi = {10.1038/s41592-018-0235-4}
}""",
    "nilearn": """@software{nilearn,
  author = {{Nilearn contributors}},
  title = {nilearn}, year = {2025},
  doi = {10.5281/zenodo.8397156}, url = {https://github.com/nilearn/nilearn}
}""",
    "friston1996": """@article{friston1996,
  author = {Friston, Karl J. and Williams, Steven and Howard, Robert and Frackowiak, Richard S. J.
            and Turner, Robert},
  title = {Movement-related effects in {fMRI} time-series},
  journal = {Magnetic Resonance in Medicine}, volume = {35}, number = {3}, pages = {346--355},
  year = {1996}, doi = {10.1002/mrm.1910350312}
}""",
    "power2012": """@article{power2012,
  author = {Power, Jonathan D. and Barnes, Kelly A. and Snyder, Abraham Z. and
            Schlaggar, Bradley L. and Petersen, Steven E.},
  title = {Spurious but systematic correlations in functional connectivity {MRI} networks arise
           from subject motion},
  journal = {NeuroImage}, volume = {59}, number = {3}, pages = {2142--2154}, year = {2012},
  doi = {10.1016/j.neuroimage.2011.10.018}
}""",
    "wang2024": """@article{wang2024,
  author = {Wang, Hao-Ting and Meisler, Steven L. and Sharmarke, Hanad and others},
  title = {Continuous evaluation of denoising strategies in resting-state {fMRI} connectivity
           using {fMRIPrep} and {Nilearn}},
  journal = {PLOS Computational Biology}, volume = {20}, number = {3}, pages = {e1011942},
  year = {2024}, doi = {10.1371/journal.pcbi.1011942}
}""",
    "mumford2012": """@article{mumford2012,
  author = {Mumford, Jeanette A. and Turner, Benjamin O. and Ashby, F. Gregory and
            Poldrack, Russell A.},
  title = {Deconvolving {BOLD} activation in event-related designs for multivoxel pattern
           classification analyses},
  journal = {NeuroImage}, volume = {59}, number = {3}, pages = {2636--2643}, year = {2012},
  doi = {10.1016/j.neuroimage.2011.08.076}
}""",
}


def methods_text(recipe: Recipe, regions: Sequence[Region]) -> str:
    """Return the methods text of a recipe's data and of the regions that were found.

    It cites keys of `CITATIONS` and says the rules; what they removed from a participant stands
    in the tables of the report.
    """
    images = recipe.inputs.images
    paragraphs = (
        _cleaning(recipe.cleaning) if images is None else _images(images, recipe.cleaning),
        _classes(recipe.classes, images),
        *(_samples(name, spec) for name, spec in recipe.samples.items()),
        _regions(regions),
    )
    return " ".join(sentence for sentence in paragraphs if sentence)


def _images(images: Images, cleaning: Cleaning) -> str:
    wanted = images.wanted.items()
    chosen = ", ".join(f"{key} {' or '.join(map(str, labels))}" for key, labels in wanted)
    scaled = "each voxel was scaled to mean 0 and standard deviation 1 over the images of a run"
    touched = cleaning.standardize or cleaning.smoothing_fwhm is not None
    return (
        f"Samples were images that existed already, in the data set {images.derivatives} "
        f"({chosen}). {_pairing(images)} "
        + _smoothing(cleaning, "Images")
        + (f"Then {scaled}. " if cleaning.standardize else "")
        + ("This was done with nilearn [@nilearn]. " if touched else "")
        + "Without a mask of a run its voxels were those in which no image was 0 or not finite. "
        + _runs_left_out(cleaning)
    ).strip()


def _pairing(images: Images) -> str:
    if not images.events:
        return f"The {images.entity} in the name of an image told its class."
    if images.event_column is None:
        return "Images and events of a run went together in order."
    return (
        f"The event of an image was the one whose {images.event_column} in events.tsv was the "
        f"{images.entity} in the image's name."
    )


def _smoothing(cleaning: Cleaning, what: str) -> str:
    if cleaning.smoothing_fwhm is None:
        return ""
    return f"{what} were smoothed with a Gaussian filter of {cleaning.smoothing_fwhm:g} mm FWHM. "


def _cleaning(cleaning: Cleaning) -> str:
    steps = [
        "a linear trend" if cleaning.detrend else "",
        f"discrete cosines with periods of {cleaning.high_pass:g} s and above"
        if cleaning.high_pass is not None
        else "",
        _confounds(cleaning),
    ]
    removed = ", ".join(step for step in steps if step)
    scaled = "each voxel was scaled to mean 0 and standard deviation 1 per run"
    return (
        "BOLD runs preprocessed by fMRIPrep [@esteban2019] were cleaned with nilearn [@nilearn]. "
        + _smoothing(cleaning, "Volumes")
        + (f"From every run were removed, in one step: {removed}. " if removed else "")
        + (f"Then {scaled}. " if cleaning.standardize else "")
        + _volumes_left_out(cleaning)
        + _runs_left_out(cleaning)
    ).strip()


def _confounds(cleaning: Cleaning) -> str:
    given = cleaning.confounds
    items = [given] if isinstance(given, str) else list(given)
    named = {
        "motion6": "the six head-motion parameters [@friston1996]",
        "motion24": "24 head-motion regressors, which are the six parameters, their derivatives "
        "and the squares of both [@friston1996]",
    }
    words = [named[item] for item in items if item in named]
    columns = [x for x in items if x not in GROUPS and not x.startswith(STRATEGY)]
    strategies = [x.removeprefix(STRATEGY) for x in items if x.startswith(STRATEGY)]
    if columns:
        words.append(f"the confounds {' and '.join(columns)}")
    if strategies:
        words.append(
            f"the confounds of nilearn's strategies {' and '.join(strategies)} [@wang2024]"
        )
    return ", ".join(words)


def _volumes_left_out(cleaning: Cleaning) -> str:
    first = (
        f"The first {cleaning.drop_volumes} volumes of every run and any further"
        if cleaning.drop_volumes
        else "Any"
    )
    text = f"{first} volumes that fMRIPrep marked as non-steady-state were dropped. "
    if cleaning.fd_threshold is not None:
        text += (
            f"Volumes with a framewise displacement above {cleaning.fd_threshold:g} mm were "
            "censored before these regressors were fitted [@power2012]. "
        )
    return text


def _runs_left_out(cleaning: Cleaning) -> str:
    rules = []
    if cleaning.max_mean_fd is not None:
        rules.append(
            f"a mean framewise displacement above {cleaning.max_mean_fd:g} mm [@power2012]"
        )
    if cleaning.fd_threshold is not None:
        rules.append(f"more than {100 * cleaning.max_censored:g} % of their volumes censored")
    if cleaning.min_trials > 1:
        rules.append(f"fewer than {cleaning.min_trials} trials of a class left")
    return f"Runs with {' or '.join(rules)} were left out. " if rules else ""


def _classes(classes: Classes, images: Images | None) -> str:
    merged = [f"{' and '.join(old)} into {new}" for new, old in classes.merge.items()]
    text = f"Classes were the values of {classes.column}"
    if images is not None and not images.events:
        text = "Classes were those of the names of the images"
    if classes.include:
        text += f" {', '.join(classes.include)}"
    if merged:
        text += f", after merging {', '.join(merged)}"
    return f"{text}."


def _samples(name: str, spec: SampleSpec) -> str:
    return f"Samples called {name} were {KINDS[spec.kind](spec)}."


def _window(spec: SampleSpec) -> str:
    count = "as many volumes as its duration holds" if spec.count is None else f"{spec.count}"
    return f"{count}, from the first one acquired at least {spec.shift:g} s after its onset"


def _volumes(spec: SampleSpec) -> str:
    return f"the single volumes of each event ({_window(spec)})"


def _average(spec: SampleSpec) -> str:
    return f"the mean over the volumes of each event ({_window(spec)})"


def _lsa(spec: SampleSpec) -> str:
    return (
        f"least-squares-all estimates: the weights of one general linear model per run with a "
        f"regressor per event, convolved with the {spec.hrf} haemodynamic response "
        "[@mumford2012]; the design passed through the same filter as the data"
    )


def _lss(spec: SampleSpec) -> str:
    return (
        f"least-squares-separate estimates: for each event the weight of its own regressor in a "
        f"general linear model whose second regressor holds all other events, convolved with the "
        f"{spec.hrf} haemodynamic response [@mumford2012]; the design passed through the same "
        "filter as the data"
    )


def _image(spec: SampleSpec) -> str:
    return "these images, one for each event"


KINDS: Mapping[str, Callable[[SampleSpec], str]] = {
    "volumes": _volumes,
    "average": _average,
    "lsa": _lsa,
    "lss": _lss,
    "image": _image,
}


def _regions(regions: Sequence[Region]) -> str:
    listed = "; ".join(f"{region.name} ({region.description})" for region in regions)
    return f"Regions were {listed}." if listed else ""
