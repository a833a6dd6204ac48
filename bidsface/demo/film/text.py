"""What the film study says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bidsface.demo.film.design import OVERLAP, REPETITION_TIME, TASK
from bidsface.demo.raw_files import StudyText, TaskText

README = f"""# Synthetic film study

Nobody was scanned, and there is no film. `bidsface-demo` drew these data from random numbers, with
known patterns in known places; what was planted is described in the folder `truth` beside this data
set.

Participants watch a film (task `film`), of which every run shows one segment. Segments overlap: the
last {OVERLAP} volumes of one show the same seconds of the film as the first {OVERLAP} of the next.
The column `film_onset` of the events is the film time at which a run begins. The emotions that the
characters of the film portray were annotated by several observers, in `stimuli/annotations`, in the
columns of the annotations of Labs et al. (2015), F1000Research 4:92.

The data that are meant to be analysed are in `derivatives/fmriprep`, in the layout of fMRIPrep's
output. The images here only make the data set complete: the BOLD runs are those same series,
averaged over blocks of voxels, and the T1-weighted images are the MNI152 template with noise.
fMRIPrep was not run, and running it on these images is of no use.
"""
ANNOTATIONS_README = """# What the observers say

One table for each observer, one row for each time that somebody in the film has an emotion or a
mood. The observers are as synthetic as the film: they miss episodes, begin and end a second or two
early or late, take an emotion for another one, or name two or none.

| column | meaning |
| --- | --- |
| `start`, `end` | film time (s) |
| `character` | who has it |
| `arousal` | `HIGH` or `LOW` |
| `valence` | `POS` or `NEG` |
| `direction` | whether it concerns the character (`SELF`) or somebody else (`OTHER`) |
| `emotion` | its name; empty where the observer gave none, two words where they gave two |
| `oncue`, `offcue` | what shows that it begins, and why the row ends |
"""
EVENT_COLUMNS: Mapping[str, Mapping[str, Any]] = {
    "onset": {"Description": "Start of the segment after the first volume.", "Units": "s"},
    "duration": {"Description": "Duration of the segment.", "Units": "s"},
    "trial_type": {
        "Description": "What is shown.",
        "Levels": {"film": "A segment of the film"},
    },
    "film_onset": {
        "LongName": "Film time at the onset",
        "Description": "Time in the film at which the segment starts; the annotations in "
        "stimuli/annotations are in film time.",
        "Units": "s",
    },
}
FILM = StudyText(
    name="Synthetic film study with planted truth",
    readme=README,
    tasks={
        TASK: TaskText(
            name="Watching a film",
            instructions="Watch the film and keep your head still.",
            columns=EVENT_COLUMNS,
        )
    },
    repetition_time=REPETITION_TIME,
)
TRUTH_README = """# What was planted in the film study

| file | content |
| --- | --- |
| `truth.json` | design, places of every emotion, units, number of volumes per consensus |
| `*_mask.nii.gz` | where the emotion is planted, 0 or 1 |
| `*_pattern.nii.gz` | peak response of its voxels to a long episode, on average 1, before gains |
| `episodes.tsv` | when in the film who has which emotion |
| `spans.tsv` | when the scenes and the shots of the film start and end |
| `volumes.tsv` | emotion in the middle of every volume of the film, and the consensus about it |
| `evoked.tsv` | which emotion's pattern each episode evoked in each participant and run |
| `participants.tsv` | how strongly each participant responds, moves and is disturbed by noise |

The consensus about a volume is the emotion that more than half of the observers see in it.

All participants share the emotions' patterns, convolved with a haemodynamic response: the signal
follows the film by about five seconds. They also share a map for every scene (20 to 60 s) and every
shot (4 to 10 s) of the film, which have nothing to do with the emotions. These make volumes
of the same moment of the film alike across participants, and those of neighbouring moments, too: a
network that is tested on volumes drawn at random has seen the same moments in training, and looks
far better than it is on a part of the film that it has not seen.
"""
