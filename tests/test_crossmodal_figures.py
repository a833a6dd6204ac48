"""What the figures of a group's cross-modal decoding show."""

from dataclasses import replace

import numpy as np
import pytest
from crossmodal_tables import CLASSES, CONDITIONS, REGIONS, Study, make_participants
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgba

from bidsface.analysis import StoredTable
from bidsface.figures import PALETTE, WIDTH, render_svg, stars, style
from bidsface_decoding.condition_drawing import PALE
from bidsface_decoding.conditions import Condition, Setting
from bidsface_decoding.crossmodal_group import crossmodal_group
from bidsface_decoding.crossmodal_group_figures import arrange
from bidsface_decoding.crossmodal_options import CrossmodalOptions
from bidsface_decoding.crossmodal_panels import confusion_grid
from bidsface_decoding.labels import SMALLEST, fit, wrap

FEW = ("strong", "nothing", "displayobserve")
EFFECTS = {("strong",): 0.6, ("nothing",): 1 / 3, ("displayobserve",): 0.5}
STUDY = Study(n=7, regions=FEW, effects=EFFECTS, per_class=8, control=0.45)


def analyse(study):
    options = CrossmodalOptions(group_draws=200)
    return crossmodal_group(make_participants(study), options, lambda *_: np.random.SeedSequence(1))


def by_name(results):
    return {figure.name: figure.draw for figure in results.figures}


@pytest.fixture(scope="module")
def results():
    return analyse(STUDY)


@pytest.fixture(scope="module")
def figures(results):
    return by_name(results)


@pytest.fixture(scope="module")
def scores(results):
    frame = results.tables[0].frame
    return frame[frame["motion"] == "kept"]


def panels(figure):
    return {ax.get_title(loc="left").replace("\n", " "): ax for ax in figure.axes if ax.axison}


def rows_of(scores, train, test, aligner, metric="balanced_accuracy"):
    same = scores["aligner"].isna() if aligner is None else scores["aligner"] == aligner
    chosen = (scores["train_task"] == train) & (scores["test_task"] == test) & same
    return scores[chosen & (scores["metric"] == metric)].set_index("roi_name")


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_every_figure_of_the_report_is_there(results):
    names = ["accuracy", "realignment", "classes", "motion", "displacement", "confusion1"]
    assert [figure.name for figure in results.figures] == names
    for figure in results.figures:
        assert figure.title
        assert figure.caption
        assert figure.entities["contrast"] == "volumesBayes"
        assert figure.draw.get_size_inches()[0] <= WIDTH + 1e-6


def test_bars_have_means_intervals_participants_and_stars(figures, scores):
    found = panels(figures["accuracy"])
    assert list(found) == [
        "within display",
        "display to observe",
        "observe to display",
        "within observe",
        "display to observe, realigned (bcca)",
        "observe to display, realigned (bcca)",
    ]
    ax, rows = found["within display"], rows_of(scores, "display", "display", None)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == [*FEW, "head motion alone"]
    assert [bar.get_width() for bar in ax.patches] == pytest.approx(list(rows["value"]))
    expected = [stars(rows.loc[name, "p_fdr"]) for name in FEW]
    assert texts(ax) == [*expected, stars(rows.loc["motion", "p"])]
    assert expected[0] == "*"
    assert expected[1] == ""
    intervals = {tuple(line.get_xdata()) for line in ax.lines}
    for _, row in rows.iterrows():
        assert (row["ci_low"], row["ci_high"]) in intervals
    assert sum(len(line.get_xdata()) == 7 for line in ax.lines) == 4
    dashed = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert dashed[0].get_xdata()[0] == pytest.approx(1 / 3)


def test_regions_that_were_not_decoded_have_no_bar(figures):
    found = panels(figures["accuracy"])
    assert len(found["display to observe"].patches) == 3  # two regions and head motion
    assert len(found["display to observe, realigned (bcca)"].patches) == 4


def test_realignment_shows_pairs_and_their_gains(figures, results, scores):
    found = panels(figures["realignment"])
    assert list(found) == [
        "display to observe, realigned (bcca)",
        "observe to display, realigned (bcca)",
    ]
    frame = results.tables[1].frame
    gains = frame[
        (frame["comparison"] == "realignment")
        & (frame["motion_a"] == "kept")
        & (frame["train_task_a"] == "display")
    ].set_index("roi_name")
    ax = found["display to observe, realigned (bcca)"]
    bars = [bar for bar in ax.patches if 0 < bar.get_height() < 0.5]
    colours = [to_hex(bar.get_facecolor()) for bar in bars]
    assert colours.count(to_hex(PALE)) == 2
    assert colours.count(to_hex(PALETTE[0])) == 3  # one region can be decoded realigned only
    before = rows_of(scores, "display", "observe", "none")
    assert bars[0].get_width() == pytest.approx(before.loc["strong", "value"])
    for text, name in zip(ax.texts, ("strong", "nothing"), strict=True):
        row = gains.loc[name]
        number = "0.00" if abs(row["difference"]) < 0.005 else f"{row['difference']:+.2f}"
        assert text.get_text() == f"{number} {stars(row['p_fdr'])}".replace("-", "−").strip()
        assert (text.get_fontweight() == "bold") == (row["p_fdr"] < 0.05)


def test_significant_gains_are_bold():
    effects = {("gains", "display", "observe", "bcca"): 0.55}
    study = replace(
        STUDY,
        regions=("gains", "nothing"),
        effects=effects,
        conditions=CONDITIONS[2:4],
        motions=("kept",),
    )
    found = panels(by_name(analyse(study))["realignment"])
    text = found["display to observe, realigned (bcca)"].texts[0]
    assert text.get_fontweight() == "bold"
    assert text.get_text().startswith("+0.")
    assert text.get_text().endswith("*")


def test_classes_are_filled_where_above_chance(figures, scores):
    ax = panels(figures["classes"])["within display"]
    rows = rows_of(scores, "display", "display", None, "recall").drop(index="motion")
    dots = {line.get_xdata()[0]: line for line in ax.lines if line.get_marker() == "o"}
    assert len(dots) <= len(FEW) * len(CLASSES)
    for _, row in rows.iterrows():
        line = dots[row["value"]]
        filled = to_rgba(line.get_markerfacecolor()) != to_rgba("white")
        assert filled == (row["p_fdr"] < 0.05)
    labels = [text.get_text() for text in figures["classes"].legends[0].texts]
    assert labels == [*CLASSES, "p ≥ 0.05", "chance"]


def test_motion_is_drawn_beside_the_scores(figures, results, scores):
    ax = panels(figures["motion"])["within display"]
    frame = results.tables[0].frame
    regressed = rows_of(frame[frame["motion"] == "regressed"], "display", "display", None)
    kept = rows_of(scores, "display", "display", None)
    dots = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
    expected = [rows.loc[name, "value"] for name in FEW for rows in (kept, regressed)]
    assert dots == pytest.approx(expected)
    vertical = [line.get_xdata()[0] for line in ax.lines if line.get_color() == PALETTE[1]]
    assert vertical == pytest.approx([kept.loc["motion", "value"]])
    labels = [text.get_text() for text in figures["motion"].legends[0].texts]
    assert labels == [
        "samples as they are",
        "motion regressed out",
        "head motion alone (95 % CI)",
        "chance",
    ]


def test_displacement_has_a_dot_per_participant_and_the_correlation(figures, results):
    figure = figures["displacement"]
    assert len(figure.axes) == 6 * 3  # two regions that all conditions have, and head motion
    frame = results.tables[2].frame
    first = frame[(frame["motion"] == "kept") & (frame["roi_name"] == "strong")].iloc[0]
    ax = figure.axes[0]
    assert ax.get_title(loc="left") == "strong"
    shown = next(text for text in texts(ax) if text.startswith("ρ"))
    assert shown.startswith(f"ρ = {first['rho']:.2f}, p = ".replace("-", "−"))
    dots = next(line for line in ax.lines if line.get_marker() == "o")
    assert len(dots.get_xdata()) == 7
    ends = next(line for line in ax.lines if len(line.get_xdata()) == 2 and line is not dots)
    assert np.all(np.isfinite(ends.get_ydata()))


def test_confusions_show_percentages(figures, results):
    figure = figures["confusion1"]
    assert len(figure.axes) == len(FEW) * 6
    wanted = next(
        matrix.frame
        for matrix in results.matrices
        if matrix.entities["label"] == "strong"
        and matrix.entities["contrast"].startswith("displayToDisplay")
    )
    numbers = [text for text in texts(figure.axes[0]) if text != "strong"]
    assert numbers == [f"{100 * share:.0f}" for share in wanted.to_numpy().ravel()]
    assert "–" in texts(figure.axes[2 * 6 + 2])  # the pair of regions, across without aligner


def test_confusions_of_many_regions_fill_pages():
    study = replace(STUDY, n=2, regions=REGIONS[:8], effects={}, conditions=CONDITIONS[:2])
    found = analyse(replace(study, motions=("kept",), control=None))
    pages = [figure for figure in found.figures if figure.name.startswith("confusion")]
    assert [len(page.draw.axes) for page in pages] == [6 * 2, 2 * 2]
    assert pages[1].title.endswith("page 2 of 2")


def test_small_cells_have_no_numbers():
    classes = [f"class{number}" for number in range(12)]
    figure = confusion_grid({("a", "b"): np.eye(12)}, ["a"], ["b"], classes)
    assert texts(figure.axes[0]) == ["a"]


def settings(*conditions):
    return [Setting(Condition(*condition), "ridge", "volumes") for condition in conditions]


def test_realigned_stands_below_not_realigned():
    both = settings(
        ("d", "d"),
        ("o", "o"),
        ("d", "o", "none"),
        ("d", "o", "x"),
        ("o", "d", "none"),
        ("o", "d", "x"),
    )
    assert arrange(both) == [[both[0], both[2], both[4]], [both[1], both[3], both[5]]]
    uneven = settings(("d", "d"), ("o", "o"), ("d", "o", "none"), ("d", "o", "x"), ("d", "o", "y"))
    assert arrange(uneven) == [uneven[:3], uneven[3:]]


LONG = {
    "leftSuperiorTemporalSulcusPosteriorPart": 0.5,
    "rightInferiorFrontalGyrusParsOpercularisExtended": 0.95,
    "MT": 1 / 3,
}


def cut_off(figure):
    """How far, in inches, what is drawn reaches beyond the figure."""
    with style():
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        box = figure.get_tightbbox(canvas.get_renderer())
    width, height = figure.get_size_inches()
    return max(-box.x0, -box.y0, box.x1 - width, box.y1 - height)


def test_nothing_is_cut_off_with_long_names():
    tasks = {"display": "emotionalfacesdisplay", "observe": "emotionalfacesobserve"}
    conditions = [(tasks[train], tasks[test], aligner) for train, test, aligner in CONDITIONS]
    effects = {(name,): share for name, share in LONG.items()}
    study = replace(STUDY, n=6, regions=tuple(LONG), conditions=conditions, effects=effects)
    for figure in analyse(study).figures:
        assert cut_off(figure.draw) < 0.02, figure.name


@pytest.mark.parametrize("n", [1, 2])
def test_few_participants_are_drawn(n):
    found = by_name(analyse(replace(STUDY, n=n, regions=FEW[:2], conditions=CONDITIONS[:4])))
    assert ("displacement" in found) == (n > 2)
    for figure in found.values():
        assert render_svg(figure).startswith(b"<?xml")
    for ax in panels(found["accuracy"]).values():
        low, high = ax.get_xlim()
        assert low >= 0
        assert high < 1.3
        assert not any(texts(ax))
    labels = [text.get_text() for text in found["motion"].legends[0].texts]
    assert ("head motion alone" in labels) == (n == 1)


def without_values(participant, region):
    frame = participant.table("scores")
    frame.loc[frame["roi_name"] == region, "value"] = np.nan
    return replace(
        participant,
        tables=(StoredTable("scores", {}, lambda: frame), *participant.tables[1:]),
    )


def test_regions_without_scores_are_drawn_as_missing():
    study = replace(STUDY, n=3, conditions=CONDITIONS[:1])
    participants = [without_values(one, "nothing") for one in make_participants(study)]
    found = crossmodal_group(
        participants, CrossmodalOptions(group_draws=50), lambda *_: np.random.SeedSequence(1)
    )
    for figure in found.figures:
        assert render_svg(figure.draw).startswith(b"<?xml")
    assert found.summaries[0].frame.set_index("Region").loc["nothing", "within display"] == "n/a"


def test_names_are_broken_before_capitals():
    assert wrap("one two three", 8) == "one two\nthree"
    assert wrap("leftSuperiorTemporalSulcus", 14) == "leftSuperior\nTemporalSulcus"
    assert wrap("one to two, three (four)", 16) == "one to two,\nthree (four)"
    assert wrap("one, two", 16) == "one, two"
    assert wrap("abcdefghij", 4) == "abcd\nefgh\nij"
    assert wrap("to leftSuperior", 12) == "to\nleftSuperior"


def test_names_get_smaller_until_they_fit():
    assert fit("MT", 1.0, 3, 7.0) == ("MT", 7.0)
    text, size = fit("emotionalfacesdisplay", 1.05, 3, 7.0)
    assert text == "emotionalfacesdisplay"
    assert SMALLEST < size < 7
    broken, smallest = fit("x" * 80, 1.0, 2, 7.0)
    assert smallest == SMALLEST
    assert broken.replace("\n", "") == "x" * 80
