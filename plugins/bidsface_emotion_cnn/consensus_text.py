"""Methods text of ``consensus``, with its citations; labels of other analyses use it, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bidsface.analysis import cited
from bidsface_emotion_cnn.label_options import LabelOptions

if TYPE_CHECKING:
    from bidsface_emotion_cnn.consensus_analysis import ConsensusOptions
    from bidsface_emotion_cnn.film_labels import FilmLabels

CITATIONS: Mapping[str, str] = {
    "labs2015": "@article{labs2015, author = {Labs, Annika and Reich, Theresa and Schulenburg, "
    "Helene and Boennen, Manuel and Gehrke, Mareike and Golz, Madleen and Hartigs, Benita and "
    "Hoffmann, Nico and Keil, Sebastian and Perlow, Mal{\\'u} and Peukmann, Anne Katrin and Rabe, "
    "Lea Noell and von Sobbe, Franca-Rosa and Hanke, Michael}, title = {Portrayed emotions in the "
    "movie ``{Forrest Gump}''}, journal = {F1000Research}, volume = {4}, pages = {92}, "
    "year = {2015}, doi = {10.12688/f1000research.6230.1}}",
    "hanke2016": '@article{hanke2016, author = {Hanke, Michael and Adelh{\\"o}fer, Nico and '
    "Kottke, Daniel and Iacovella, Vittorio and Sengupta, Ayan and Kaule, Falko R. and Nigbur, "
    'Roland and Waite, Alexander Q. and Baumgartner, Florian and Stadler, J{\\"o}rg}, title = {A '
    "studyforrest extension, simultaneous {fMRI} and eye gaze recordings during prolonged natural "
    "stimulation}, journal = {Scientific Data}, volume = {3}, pages = {160092}, year = {2016}, "
    "doi = {10.1038/sdata.2016.92}}",
    "hayes2007": "@article{hayes2007, author = {Hayes, Andrew F. and Krippendorff, Klaus}, "
    "title = {Answering the call for a standard reliability measure for coding data}, "
    "journal = {Communication Methods and Measures}, volume = {1}, number = {1}, "
    "pages = {77--89}, year = {2007}, doi = {10.1080/19312450709336664}}",
    "carlstein1986": "@article{carlstein1986, author = {Carlstein, Edward}, title = {The use of "
    "subseries values for estimating the variance of a general statistic from a stationary "
    "sequence}, journal = {Annals of Statistics}, volume = {14}, number = {3}, "
    "pages = {1171--1179}, year = {1986}, doi = {10.1214/aos/1176350057}}",
}

TIE_TEXTS: Mapping[str, str] = {
    "alphabetical": "of equally frequent emotions the first by alphabet was taken",
    "drop": "volumes with equally frequent emotions were left out",
}


def label_methods(options: LabelOptions, n_observers: int | None = None) -> str:
    """Describe how volumes got their labels, for the methods of any analysis that uses them.

    Parameters
    ----------
    options : LabelOptions
    n_observers : int, optional
        Whose annotations there are.
    """
    if options.source == "events":
        parts = [_events(options)]
    else:
        parts = _annotations(options, _observers(n_observers))
    if options.classes:
        parts.append(f"Used were the emotions {', '.join(options.classes)}.")
    if options.minimum > 1:
        parts.append(f"Emotions with fewer than {options.minimum} volumes were left out.")
    if options.per_class is not None:
        parts.append(
            f"Of every emotion {options.per_class} volumes were drawn per participant (all of them "
            "where there were fewer)."
        )
    return " ".join(parts)


def participant_methods(options: LabelOptions, n_observers: int | None = None) -> str:
    """Describe the participant level; parameters are those of `label_methods`."""
    return label_methods(options, n_observers)


def group_methods(options: ConsensusOptions, film: FilmLabels) -> str:
    """Describe how agreement was measured."""
    interval = (
        f" Intervals ({100 * options.confidence:g} %) come from {options.bootstraps} resamples of "
        f"parts of the film of {options.block:g} s [@carlstein1986], for neighbouring seconds have "
        "the same labels."
        if options.bootstraps
        else ""
    )
    return (
        f"The agreement of {len(film.observers)} observers in volumes of {film.repetition_time:g} "
        "s was measured by Krippendorff's alpha for nominal labels [@hayes2007], for all emotions "
        "and for each against the others (volumes without a label of an observer being missing), "
        f"and for whether an observer noted any emotion.{interval}"
    )


def citations_of(written: str) -> dict[str, str]:
    """Return the entries that a text cites."""
    return cited(written, CITATIONS)


def _observers(number: int | None) -> str:
    if number is None:
        return "Observers"
    return "One observer" if number == 1 else f"{number} observers"


def _events(options: LabelOptions) -> str:
    return (
        "Volumes were labelled with the class of the event during which they were acquired, "
        f"{options.shift:g} s being allowed for the haemodynamic delay; of overlapping events the "
        "later one counted."
    )


def _annotations(options: LabelOptions, observers: str) -> list[str]:
    enough = (
        "more than half of the observers"
        if options.threshold is None
        else f"at least {options.threshold} observers"
    )
    step = options.repetition_time
    length = " as long as those of the runs" if step is None else f" of {step:g} s"
    parts = [
        f"{observers} had noted the emotions portrayed in the film, with their start and end, as "
        "in the studyforrest data [@labs2015; @hanke2016]. The film was divided into volumes"
        f"{length}; an observer's label of a volume was the last annotation in the file that "
        "overlaps it, those without an emotion being skipped. A volume kept the most frequent "
        f"emotion if {enough} "
        f"had noted it; {TIE_TEXTS[options.ties]}. The label belonged to what was measured "
        f"{options.shift:g} s later."
    ]
    if len(options.segments) > 1:
        parts.append(
            f"The film was shown in {len(options.segments)} runs; where these overlap, every "
            "second of the film was used in one run only, the overlap being split in the middle."
        )
    return parts
