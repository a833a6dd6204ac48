"""Finding images that exist already, and what belongs to them."""

import json

import pytest
from image_study import ImageStudy, touch
from trees import MNI, Tree, describe, found, opened, refused, write

from bidsface.errors import UsageError
from bidsface.files import ParticipantFiles
from bidsface.recipe import Inputs

EVENTS = "onset\tduration\ttrial_type\n1.0\t2.0\tjoy\n3.0\t2.0\tanger\n"


def inputs(**images):
    return Inputs.model_validate({"images": {"derivatives": "fitlins", **images}})


@pytest.fixture
def fitlins(tmp_path):
    """A raw data set with events of two runs, and an empty derivative."""
    raw = tmp_path / "bids"
    describe(raw, Name="pain", DatasetType="raw")
    for run in "12":
        write(raw / f"sub-01/func/sub-01_task-pain_run-{run}_events.tsv", EVENTS)
    return raw / "derivatives" / "fitlins"


def names(run):
    return [path.name for path in run.images]


def test_images_of_a_run_are_a_run(tmp_path, fitlins):
    for run in "21":
        touch(
            fitlins,
            *(
                f"level-run_name-a_sub-01_task-pain_run-{run}_space-{MNI}_contrast-trial{n}"
                f"_stat-{stat}_statmap.nii.gz"
                for n in (10, 9, 1)
                for stat in ("effect", "variance")
            ),
            folder="sub-01",
        )
    files = found(opened(tmp_path, inputs(filters={"stat": "effect"})))
    assert [run.block for run in files.runs] == ["task-pain_run-1", "task-pain_run-2"]
    first = files.runs[0]
    assert first.entities == {"sub": "01", "task": "pain", "run": "1", "space": MNI}
    assert [name.split("_")[6] for name in names(first)] == [
        "contrast-trial1",
        "contrast-trial9",
        "contrast-trial10",
    ]
    assert first.events == tmp_path / "bids/sub-01/func/sub-01_task-pain_run-1_events.tsv"
    assert (first.mask, first.confounds, first.segmentations) == (None, None, {})
    assert first.repetition_time != first.repetition_time
    assert set(first.images) < set(files.inputs)
    assert files.notes == ()


def image(trial, more="", stat="effect", run="1", suffix="statmap"):
    return f"sub-01_task-pain_run-{run}_contrast-trial{trial}{more}_stat-{stat}_{suffix}.nii.gz"


def test_filters(tmp_path, fitlins):
    wanted = image(1, "_desc-smooth", suffix="boldmap")
    touch(fitlins, wanted, image(1, suffix="boldmap"), image(2, "_desc-smooth"), image(3))
    dataset = opened(tmp_path, inputs(filters={"description": "smooth", "suffix": "boldmap"}))
    assert names(found(dataset).runs[0]) == [wanted]
    assert dataset.uri(found(dataset).runs[0].bold) == f"bids:fitlins:sub-01/func/{wanted}"
    absent = opened(tmp_path, inputs(filters={"desc": None}))
    assert names(found(absent).runs[0]) == [image(3)]
    several = opened(tmp_path, inputs(filters={"contrast": ["trial2", "trial1"], "desc": "*"}))
    assert names(found(several).runs[0]) == [image(2, "_desc-smooth")]


def test_filters_that_no_image_passes(tmp_path, fitlins):
    touch(fitlins, image(1), image(2, stat="z"))
    dataset = opened(tmp_path, inputs(filters={"stat": "t"}))
    with pytest.raises(
        UsageError, match=r"inputs\.images\.filters: no image with stat t; there are: effect, z"
    ):
        dataset.files(["01"])
    dataset = opened(tmp_path, inputs(filters={"suffix": "spmT"}))
    with pytest.raises(UsageError, match="no image with suffix spmT; there are: statmap"):
        dataset.files(["01"])
    dataset = opened(tmp_path, inputs(filters={"stat": "z"}), run=("2",))
    with pytest.raises(UsageError, match="--run: no image with run 2; there are: 1"):
        dataset.files(["01"])
    dataset = opened(tmp_path, inputs(filters={"stat": "z"}), space=(MNI,))
    with pytest.raises(UsageError, match="--space: no image with space"):
        dataset.files(["01"])


def test_images_of_several_kinds_are_never_mixed(tmp_path, fitlins):
    touch(fitlins, image(1), image(2), image(1, stat="variance"), image(2, stat="variance"))
    message = refused(opened(tmp_path, inputs()))
    assert (
        "the images of its run differ in stat (effect, variance), not in contrast alone" in message
    )
    assert "inputs.images.filters" in message


def test_another_entity_of_trials(tmp_path, fitlins):
    touch(fitlins, *(f"sub-01_task-pain_run-1_trial-{n}_stat-z_statmap.nii" for n in (1, 2)))
    assert "differ in trial" in refused(opened(tmp_path, inputs()))
    files = found(opened(tmp_path, inputs(entity="trial")))
    assert len(files.runs[0].images) == 2


def test_one_image_in_two_places_is_refused(tmp_path, fitlins):
    touch(fitlins, image(1))
    touch(fitlins, image(1), folder="sub-01/other")
    assert "are one image by the entities" in refused(opened(tmp_path, inputs()))


def test_a_name_without_task_is_refused(tmp_path, fitlins):
    touch(fitlins, "sub-01_contrast-a_stat-z_statmap.nii.gz")
    assert "an image needs the entity task- in its name" in refused(opened(tmp_path, inputs()))


def test_a_run_without_events(tmp_path, fitlins):
    touch(fitlins, image(1), image(1, run="3"))
    files = found(opened(tmp_path, inputs()))
    assert files.notes == ("left out: task-pain_run-3: no events.tsv applies to its images",)
    assert [run.entities["run"] for run in files.runs] == ["1"]
    files = found(opened(tmp_path, inputs(events=False)))
    assert [run.events for run in files.runs] == [None, None]
    message = refused(opened(tmp_path, inputs(), run=("3",)))
    assert "no usable run of images" in message
    assert "inputs.images.events: false" in message


def test_events_beside_the_images(tmp_path):
    root = tmp_path / "bids"
    describe(root, Name="contrasts", DatasetType="derivative")
    touch(root, image(1), image(2))
    own = write(root / "task-pain_events.tsv", EVENTS)
    dataset = opened(tmp_path, inputs())
    assert dict(dataset.roots) == {"fitlins": root}
    assert found(dataset).runs[0].events == own


def test_masks(tmp_path, fitlins):
    """One of the images' own data set counts first, regions never."""
    touch(fitlins, image(1), "sub-01_task-pain_run-1_label-S1_mask.nii.gz")
    touch(fitlins, f"sub-01_task-pain_run-1_space-{MNI}_mask.nii.gz")
    assert found(opened(tmp_path, inputs())).runs[0].mask is None
    fmriprep = tmp_path / "bids/derivatives/fmriprep"
    describe(fmriprep, Name="fMRIPrep", DatasetType="derivative")
    (theirs,) = touch(fmriprep, "sub-01_task-pain_run-1_desc-brain_mask.nii.gz")
    assert found(opened(tmp_path, inputs())).runs[0].mask == theirs
    (whole,) = touch(fitlins, "sub-01_task-pain_mask.nii.gz")
    assert found(opened(tmp_path, inputs())).runs[0].mask == whole
    (own,) = touch(fitlins, "sub-01_task-pain_run-1_desc-brain_mask.nii.gz")
    assert found(opened(tmp_path, inputs())).runs[0].mask == own


def test_masks_and_anatomy_of_fmriprep_whatever_its_resolution(tmp_path, fitlins):
    spaced = f"sub-01_task-display_run-1_space-{MNI}_contrast-trial1_stat-z_statmap.nii.gz"
    Tree(spaces=(f"{MNI}_res-2",), segmentations=False).write(tmp_path)
    fmriprep = tmp_path / "bids/derivatives/fmriprep"
    write(fmriprep / f"sub-01/anat/sub-01_space-{MNI}_res-2_desc-aseg_dseg.nii.gz")
    touch(fitlins, spaced)
    files = found(opened(tmp_path, inputs()))
    stem = f"sub-01_task-display_run-1_space-{MNI}_res-2"
    assert files.runs[0].mask.name == f"{stem}_desc-brain_mask.nii.gz"
    assert files.runs[0].segmentations["aseg"].name.endswith("res-2_desc-aseg_dseg.nii.gz")
    assert files.grey_matter.name == f"sub-01_space-{MNI}_res-2_label-GM_probseg.nii.gz"
    assert set(opened(tmp_path, inputs()).roots) == {"raw", "fitlins", "fmriprep"}


def test_spaces_are_chosen_as_for_runs(tmp_path, fitlins):
    for space in (MNI, "T1w"):
        touch(fitlins, f"sub-01_task-pain_run-1_space-{space}_contrast-trial1_stat-z_statmap.nii")
    assert found(opened(tmp_path, inputs())).runs[0].entities["space"] == MNI
    chosen = opened(tmp_path, inputs(), space=("T1w",))
    assert found(chosen).runs[0].entities["space"] == "T1w"


def test_a_filter_file_chooses_runs_of_images(tmp_path, fitlins):
    touch(fitlins, image(1), image(1, run="2"))
    filters = {"bold": {"run": "2", "suffix": "bold", "desc": "preproc"}}
    files = found(opened(tmp_path, inputs(), bids_filters=filters))
    assert [run.entities["run"] for run in files.runs] == ["2"]


def test_the_data_set_of_images_has_to_be_there(tmp_path, fitlins):
    Tree().write(tmp_path)
    with pytest.raises(
        UsageError, match=r"no data set fitlins \(inputs.images\).*--derivatives fitlins=PATH"
    ):
        opened(tmp_path, inputs())
    elsewhere = tmp_path / "node-runLevel"
    touch(elsewhere, image(1))
    dataset = opened(tmp_path, inputs(), derivatives={"fitlins": elsewhere})
    assert dataset.participants == ("01",)
    assert dataset.source.product == "images in fitlins"
    assert dataset.unprocessed == ("02",)
    with pytest.raises(UsageError, match="no images in fitlins for 02; there is for: 01"):
        opened(tmp_path, inputs(), derivatives={"fitlins": elsewhere}, participant_label=("02",))


def test_a_participant_without_images_fails_alone(tmp_path):
    ImageStudy().write(tmp_path)
    empty = tmp_path / "bids/derivatives/fitlins/sub-03"
    empty.mkdir()
    outcomes = opened(tmp_path, inputs()).files(["01", "03"])
    assert isinstance(outcomes["01"], ParticipantFiles)
    assert str(outcomes["03"]).startswith("sub-03: no image (.nii, .nii.gz) in ")


def test_absent_annexed_images_are_named(tmp_path, fitlins):
    path = fitlins / "sub-01" / image(1)
    path.parent.mkdir(parents=True)
    path.symlink_to(".git/annex/objects/xx/MD5E-s1--0.nii.gz/MD5E-s1--0.nii.gz")
    assert "datalad get" in refused(opened(tmp_path, inputs()))


def test_participants_tsv_beside_the_images(tmp_path):
    root = tmp_path / "bids"
    describe(root, Name="contrasts", DatasetType="derivative")
    touch(root, image(1))
    write(root / "participants.tsv", "participant_id\tage\nsub-01\t30\n")
    table = opened(tmp_path, inputs(events=False)).participants_table
    assert json.loads(table.to_json()) == {"age": {"01": "30"}}
