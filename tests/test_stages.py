"""Stages: the order of analyses whose regions are made of group results."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from test_regions import BALL, FAR, SHAPE, SPACE
from volumes import make_recipe, make_run

from bidsface.analysis import Analysis, AnalysisOptions, Grid, Results, StoredResults
from bidsface.dataset.people import participants_table
from bidsface.errors import InputError, RecipeError, UsageError
from bidsface.files import ParticipantFiles
from bidsface.plugins import Plugins
from bidsface.recipe_loading import load_recipe
from bidsface.regions import HOST_SOURCES, RegionSource
from bidsface.regions.masking import find_regions
from bidsface.stages import in_stages, refuse_missing, requirements
from bidsface.volumes import run_grid


class Made(RegionSource):
    """A region that an analysis's group results say."""

    class Options(AnalysisOptions):
        analysis: str

    def requires(self, options):
        return (options.analysis,)

    def masks(self, files, grid, options, earlier):
        mask = np.zeros(grid.shape, bool)
        mask.flat[: int(earlier[options.analysis].label)] = True
        return mask


class Anywhere(Analysis):
    name = "anywhere"

    class Options(AnalysisOptions):
        regions: tuple[str, ...] = ()

    def participant(self, participant, options):
        return Results()

    def group(self, participants, options):
        return Results()


class Nowhere(Anywhere):
    name = "nowhere"

    def regions_used(self, options):
        return ()


SOURCES = {**HOST_SOURCES, "made": Made()}


@pytest.fixture
def plugins():
    return Plugins({"anywhere": Anywhere, "nowhere": Nowhere}, SOURCES, {}, {}, ())


def recipe(folder: Path, plugins, analyses, only=(), regions=None):
    content = {
        "description": "stages",
        "samples": {"averages": {"kind": "average"}},
        "regions": regions
        or {"brain": {"source": "brain-mask"}, "made": {"source": "made", "analysis": "first"}},
        "region_sets": {"both": ["brain", "made"]},
        "analyses": analyses,
    }
    path = folder / "staged.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return load_recipe(str(path), plugins, only=only)


ANALYSES = {
    "second": {"analysis": "anywhere"},
    "set": {"analysis": "anywhere", "regions": ["both"]},
    "free": {"analysis": "anywhere", "regions": ["brain"]},
    "first": {"analysis": "nowhere"},
}


def test_what_regions_are_made_of_comes_first(tmp_path, plugins):
    required = requirements(recipe(tmp_path, plugins, ANALYSES), plugins)
    assert required == {"second": ("first",), "set": ("first",), "free": (), "first": ()}
    assert in_stages(required) == [("free", "first"), ("second", "set")]


def test_an_analysis_that_is_not_to_run_counts_as_finished(tmp_path, plugins):
    required = requirements(recipe(tmp_path, plugins, ANALYSES, only=("second",)), plugins)
    assert in_stages(required) == [("second",)]
    with pytest.raises(UsageError, match="run participant and group with --analysis first first"):
        refuse_missing(required, ("participant", "group"), {})
    refuse_missing(required, ("participant",), {"first": "fingerprint"})
    refuse_missing(required, ("group",), {})


def test_participant_level_alone_lacks_group_results(tmp_path, plugins):
    required = requirements(recipe(tmp_path, plugins, ANALYSES), plugins)
    with pytest.raises(UsageError, match=r"analysis second uses regions .* group level of first"):
        refuse_missing(required, ("participant",), {})
    refuse_missing(required, ("participant", "group"), {})


def test_a_region_of_an_unknown_analysis_is_refused(tmp_path, plugins):
    analyses = {"second": {"analysis": "anywhere"}}
    with pytest.raises(RecipeError, match=r"regions\.made: made of the analysis 'first'.*second"):
        requirements(recipe(tmp_path, plugins, analyses), plugins)


def test_analyses_that_wait_for_one_another_are_refused():
    with pytest.raises(RecipeError, match="one, two wait for one another"):
        in_stages({"zero": (), "one": ("two",), "two": ("one", "zero")})


@pytest.fixture
def files(tmp_path):
    run = make_run(tmp_path, space=SPACE, mask=np.ones(SHAPE, bool))
    return ParticipantFiles("01", (run,))


@pytest.fixture
def grid(files) -> Grid:
    return run_grid(files.runs[0])


def test_regions_wait_for_group_results(files, grid):
    spec = make_recipe(regions={"ball": BALL, "made": {"source": "made", "analysis": "first"}})
    waiting = find_regions(files, grid, spec, SOURCES)
    assert list(waiting.regions) == ["ball"]
    assert waiting.notes == ("region made waits for the group level of first",)
    ready = find_regions(files, grid, spec, SOURCES, {"first": StoredResults("5")})
    assert len(ready.regions["made"].columns) == 5
    assert not ready.notes


def test_a_region_may_be_made_of_something_else(files, grid):
    cortex = {"source": "segmentation", "labels": ["postcentral"], "otherwise": BALL}
    regions = find_regions(files, grid, make_recipe(regions={"S1": cortex}), SOURCES)
    assert regions.regions["S1"].description.startswith("spheres of 3 mm")
    assert regions.notes[0].startswith("region S1 is made of spheres of 3 mm around (0, -1.5, 0)")
    assert "desc-aparcaseg_dseg" in regions.notes[0]
    lost = make_recipe(regions={"S1": cortex | {"otherwise": FAR}})
    with pytest.raises(InputError, match=r"region S1: .* no voxel in the brain"):
        find_regions(files, grid, lost, SOURCES)


def test_another_way_to_make_a_region_is_checked(tmp_path, plugins):
    bad = BALL | {"otherwise": BALL | {"raduis": 1}}
    with pytest.raises(RecipeError, match=r"regions\.ball\.otherwise\.raduis: unknown"):
        recipe(tmp_path, plugins, ANALYSES, regions={"ball": bad})


class TestParticipantsTable:
    def test_is_read_by_label(self, tmp_path):
        text = "participant_id\tage\nsub-01\t30\nsub-02\tn/a\n"
        (tmp_path / "participants.tsv").write_text(text)
        table = participants_table([tmp_path / "none", tmp_path])
        assert table["age"].to_dict() == {"01": "30", "02": "n/a"}

    def test_may_be_absent(self, tmp_path):
        assert participants_table([tmp_path]).empty

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("age\n30\n", r"participants.tsv: no column participant_id; it has age"),
            ("participant_id\nsub-01\nsub-01\n", "participant 01 stands in several rows"),
            ("", "cannot be read as a table"),
        ],
    )
    def test_has_to_be_a_table_of_participants(self, tmp_path, text, message):
        (tmp_path / "participants.tsv").write_text(text)
        with pytest.raises(InputError, match=message):
            participants_table([tmp_path])
