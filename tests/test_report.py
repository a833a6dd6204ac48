"""Reports: made of real receipts; whole, self-contained, safe and the same every time."""

import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest

from bidsface.analysis import Column, Figure, Grid, Results, Summary, Table, Voxels
from bidsface.derivatives import OutputFolder, Provenance, Unit
from bidsface.figures import drawing as figures
from bidsface.report import ReportContext, write_group_report, write_participant_report
from bidsface.report.content import duration
from bidsface.report.parts import column_texts, table_view

HOSTILE = """<script>alert("x")</script> & 'quoted' <img src=http://evil.example/a.png>"""
BIBTEX = """@article{stelzer2013,
  author = {Stelzer, Johannes and Chen, Yi and Turner, Robert},
  title = {Statistical inference and multiple testing correction},
  journal = {NeuroImage}, year = {2013}, doi = {10.1016/j.neuroimage.2012.09.063}}"""
VOID = {"meta", "link", "img", "br", "wbr"}
CONTEXT = ReportContext(
    command=("bidsface", "/data/my study", "/out", "participant", "group"),
    version="0.1.0",
    recipe_name="decode-tasks",
    recipe_text="name: decode-tasks\nanalyses: {within: {analysis: decoding}}  # <b>\n",
    random_seed=7,
    recipe_description="Within-task decoding",
    analyses=("within", "across"),
    group_report=True,
)


class Page(HTMLParser):
    """Elements, text and internal links of a page; open tags must be closed in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.stack = [], [], []
        self.feed(text)
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack[-1:] not in (["style"], ["script"]):
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def attributes(self, tag, name):
        return [attrs[name] for kind, attrs in self.elements if kind == tag and name in attrs]


def provenance(analysis):
    return Provenance(
        sources=("bids:fmriprep:sub-01/func/sub-01_task-display_bold.nii.gz",),
        options={"analysis": analysis},
        seed=7,
        versions={"bidsface": "0.1.0", "numpy": "2.1.0"},
        worker="node:1",
        inputs={},
        started=1_700_000_000.0,
    )


def carpet(run):
    values = np.random.default_rng(run).standard_normal((40, 30))
    drawn = figures.carpet(values, np.full(40, 0.1), np.arange(40.0), f"run {run}")
    return Figure("carpet", drawn, f"Cleaned data of run {run}", "Voxels.", {"run": str(run)})


@cache
def data_results():
    runs = pd.DataFrame(
        {
            "run": ["run-1", "run-2"],
            "mean FD (mm)": [0.123456, 0.7],
            "reason": ["", "mean framewise displacement above 0.5 mm"],
        }
    )
    return Results(
        figures=[carpet(1), carpet(2)],
        summaries=[Summary("Runs", runs, "Every run of the participant.")],
        methods="Data were cleaned.\n\nSamples were averaged.",
        highlights=["1 of 2 runs is used."],
        warnings=["run-2 is left out: it moved too much"],
    )


@cache
def within_results():
    grid = Grid((8, 9, 7), np.diag([4.0, 4, 4, 1]), "MNI152NLin2009cAsym")
    voxels = Voxels(grid, np.arange(100, 300))
    drawn = figures.slices(np.linspace(-1, 1, 200), voxels, "weights")
    scores = pd.DataFrame({"roi_name": ["amygdala", "insula"], "value": [0.5, 0.25]})
    return Results(
        tables=[
            Table(
                "scores",
                scores,
                {"roi_name": Column("Region"), "value": Column("Accuracy")},
                {"task": "display"},
                "Scores",
            )
        ],
        figures=[Figure("weights", drawn, "Weights", "Of joy.", {"task": "display"})],
        summaries=[Summary("Accuracy", scores)],
        methods="Inference follows [@stelzer2013].",
        citations={"stelzer2013": BIBTEX},
        highlights=["amygdala: 50 % correct"],
    )


@pytest.fixture
def output(tmp_path):
    folder = OutputFolder(tmp_path / "out")
    for label in ("01", "02"):
        folder.write(Unit("participant", "data", label, "f"), data_results(), provenance("data"))
        unit = Unit("participant", "within", label, "f")
        folder.write(unit, within_results(), provenance("decoding"))
    folder.write(Unit("group", "within", None, "f"), within_results(), provenance("decoding"))
    return folder


def read(path):
    return Page(path.read_text(encoding="utf-8"))


def test_a_participant_page_has_every_section(output):
    path = write_participant_report(output, "01", CONTEXT)
    page = read(path)
    assert path == output.root / "sub-01.html"
    assert page.attributes("section", "id") == [
        *("summary", "data", "quality", "analysis-within", "analysis-across"),
        *("methods", "errors", "about"),
    ]
    for wanted in (
        *("1 of 2 runs is used.", "run-2 is left out: it moved too much", "amygdala: 50 % correct"),
        *("mean framewise displacement above 0.5 mm", "0.123", "This has not been run."),
        *("Data were cleaned.", "Inference follows [ 1 ] .", "Stelzer J, Chen Y, Turner R (2013)"),
        *("bidsface '/data/my study' /out participant group", "2023-11-14 22:13 UTC", "2.1.0"),
        *("@article{stelzer2013,", "{within: {analysis: decoding}}", "Within-task decoding"),
    ):
        assert wanted in page.text


def test_the_group_page_lists_every_participant(output):
    failed = Unit("participant", "data", "03", "f")
    output.record_failure(failed, "sub-03 has no BOLD run", None)
    for label in ("01", "02", "03"):
        write_participant_report(output, label, CONTEXT)
    page = read(write_group_report(output, CONTEXT))
    links = page.attributes("a", "href")
    assert {"sub-01.html", "sub-02.html", "sub-03.html"} <= set(links)
    assert "sub-03, data sub-03 has no BOLD run" in page.text
    assert page.attributes("section", "id")[:2] == ["summary", "participants"]
    rows = re.findall(r"sub-0\d ((?:[✓✕] |)(?:done|failed|not run))", page.text)
    assert rows == ["✓ done", "✓ done", "✕ failed"]


@pytest.mark.parametrize("level", ["participant", "group"])
def test_a_page_loads_nothing(output, level):
    write_participant_report(output, "02", CONTEXT)
    path = (
        write_participant_report(output, "01", CONTEXT)
        if level == "participant"
        else write_group_report(output, CONTEXT)
    )
    text, page = path.read_text(encoding="utf-8"), read(path)
    loads = [
        *(attrs["src"] for _, attrs in page.elements if "src" in attrs),
        *page.attributes("link", "href"),
        *(attrs["srcset"] for _, attrs in page.elements if "srcset" in attrs),
    ]
    assert loads
    assert all(load.startswith("data:") for load in loads)
    assert "@import" not in text
    assert "url(" not in re.sub(r'"data:[^"]*"', "", text)
    assert not {"iframe", "object", "embed", "base"} & {tag for tag, _ in page.elements}
    for svg in figures_of(page):
        assert not re.search(r'href="(?!#|data:)', svg)


def figures_of(page):
    head = "data:image/svg+xml,"
    return [unquote(source.removeprefix(head)) for source in page.attributes("img", "src")]


def test_figures_are_embedded_whole_with_a_text_for_those_who_cannot_see_them(output):
    page = read(write_participant_report(output, "01", CONTEXT))
    receipts = output.receipts(level="participant", participant="01")
    paths = [record.path for receipt in receipts for record in receipt.files]
    stored = [(output.root / path).read_text() for path in paths if path.endswith(".svg")]
    assert len(stored) == 3
    assert figures_of(page) == [" ".join(svg.split()) for svg in stored]
    assert page.attributes("img", "alt") == [
        *("Cleaned data of run 1. Voxels.", "Cleaned data of run 2. Voxels.", "Weights. Of joy."),
    ]


def test_links_lead_somewhere(output):
    other = write_participant_report(output, "02", CONTEXT)
    group = write_group_report(output, CONTEXT)
    for path in (write_participant_report(output, "01", CONTEXT), other, group):
        page = read(path)
        ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
        assert len(ids) == len(set(ids))
        for link in page.attributes("a", "href"):
            if link.startswith("#"):
                assert link[1:] in ids
            elif not link.startswith("https://doi.org/"):
                assert (output.root / unquote(link)).is_file() or link == "sub-01.html"


def test_hostile_text_is_shown_and_never_run(output):
    frame = pd.DataFrame({HOSTILE: [HOSTILE, "b"]})
    drawn = figures.carpet(np.ones((5, 4)), np.ones(5), np.arange(5.0), HOSTILE)
    results = Results(
        summaries=[Summary(HOSTILE, frame, HOSTILE)],
        figures=[Figure("carpet", drawn, HOSTILE, HOSTILE, {})],
        methods=HOSTILE,
        highlights=[HOSTILE],
        warnings=[HOSTILE],
    )
    output.write(Unit("participant", "within", "01", "g"), results, provenance(HOSTILE))
    output.record_failure(Unit("participant", "across", "01", "g"), HOSTILE, HOSTILE)
    context = replace(
        CONTEXT,
        recipe_name=HOSTILE,
        recipe_text=HOSTILE,
        command=(HOSTILE,),
    )
    plain = read(write_participant_report(output, "02", CONTEXT))
    for path in (
        write_participant_report(output, "01", context),
        write_group_report(output, context),
    ):
        page = read(path)
        tags = [tag for tag, _ in page.elements]
        assert tags.count("script") == 1
        assert all(source.startswith("data:") for source in page.attributes("img", "src"))
        assert " ".join(HOSTILE.split()) in page.text
        assert set(tags) <= {tag for tag, _ in plain.elements} | {"br"}


def test_a_failure_is_shown_with_its_crash_file(output):
    unit = Unit("participant", "across", "01", "f")
    receipt = output.record_failure(unit, "unexpected ValueError: boom", "Traceback: boom")
    page = read(write_participant_report(output, "01", CONTEXT))
    assert "sub-01, across unexpected ValueError: boom" in page.text
    assert receipt.crash_file in page.attributes("a", "href")
    assert "✕ failed" in page.text
    assert "Errors (1)" in page.text


def test_a_missing_figure_is_named(output):
    figure = next((output.root / "sub-01" / "figures").glob("*weights.svg"))
    figure.unlink()
    page = read(write_participant_report(output, "01", CONTEXT))
    assert figure.name in page.text
    assert "is missing from the output folder" in page.text
    assert len(figures_of(page)) == 2


def test_a_page_of_an_empty_output_says_so(tmp_path):
    output = OutputFolder(tmp_path)
    context = replace(CONTEXT, analyses=(), group_report=False)
    page = read(write_participant_report(output, "01", context))
    assert "No analysis has finished" in page.text
    assert "No participant has results." in read(write_group_report(output, context)).text


def test_pages_are_deterministic_and_leave_nothing_behind(output):
    def pages():
        first = write_participant_report(output, "01", CONTEXT)
        return first.read_bytes(), write_group_report(output, CONTEXT).read_bytes()

    pages()
    assert pages() == pages()
    assert sorted(path.name for path in output.root.glob("*.html")) == ["group.html", "sub-01.html"]
    assert not list(output.root.glob("*.tmp"))


def test_sections_follow_the_recipe_and_fall_back_on_names(output):
    output.write(Unit("participant", "alpha", "01", "f"), Results(), provenance("decoding"))
    page = read(write_participant_report(output, "01", CONTEXT))
    analyses = [name for name in page.attributes("section", "id") if name.startswith("analysis-")]
    assert analyses == ["analysis-within", "analysis-across", "analysis-alpha"]
    page = read(write_participant_report(output, "01", replace(CONTEXT, analyses=())))
    analyses = [name for name in page.attributes("section", "id") if name.startswith("analysis-")]
    assert analyses == ["analysis-alpha", "analysis-within"]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([0.5, 1 / 3, None], ["0.500", "0.333", "n/a"]),
        ([1.0, 2.0], ["1", "2"]),
        ([1.7, 1.7], ["1.7", "1.7"]),
        ([0.0002, 0.04, 1e-9, 0.0], ["0.0002", "0.04", "1e-09", "0.00"]),
        ([12345.678, 3.5], ["12346", "4"]),
        ([float("nan"), 3], ["n/a", "3"]),
        ([True, False, "n/a"], ["yes", "no", "n/a"]),
        (["joy", 3, 0.25], ["joy", "3", "0.25"]),
        ([-12.345, 0.1], ["-12.35", "0.10"]),
    ],
)
def test_numbers_are_rounded_alike_within_a_column(column, expected):
    assert column_texts(column) == expected


def test_only_columns_of_numbers_are_aligned_as_numbers():
    rows = [["a", 1, None, True, None, "0.50"], ["2", 2.5, 3, False, None, "n/a"]]
    view = table_view("t", ["text", "number", "gap", "truth", "empty", "written"], rows)
    assert view.numeric == (False, True, True, False, False, True)
    assert view.rows[0] == ("a", "1", "n/a", "yes", "n/a", "0.50")
    assert table_view("t", ["a", "b"], []).rows == ()


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (59.97, "1 min 0 s"),
        (150, "2 min 30 s"),
        (7260, "2 h 1 min"),
    ],
)
def test_durations(seconds, expected):
    assert duration(seconds) == expected


def test_the_page_is_light(output):
    path = write_participant_report(output, "01", CONTEXT)
    receipts = output.receipts(level="participant", participant="01")
    files = [record for receipt in receipts for record in receipt.files]
    drawn = sum(record.size for record in files if record.kind == "figure")
    assert path.stat().st_size < 1.15 * drawn + 30_000
