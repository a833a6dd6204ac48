"""The methods section and its references."""

import pytest
from example_results import example_provenance, example_unit

from bidsface.analysis import Results
from bidsface.derivatives import OutputFolder, bibtex
from bidsface.derivatives.citations import cited_keys, methods_text, write_citations
from bidsface.errors import BidsfaceError

HAUFE = """@article{haufe2014,
  title = {On the interpretation of weight vectors of linear models in multivariate {NeuroImaging}},
  author = {Haufe, Stefan and Meinecke, Frank and G{\\"o}rgen, Kai},
  journal = "NeuroImage", volume = 87, pages = {96--110}, year = {2014},
  doi = {10.1016/j.neuroimage.2013.10.067}
}"""
NILEARN = "@misc{nilearn, title={nilearn {\\& friends}}, author={{Nilearn contributors}}, " + (
    "url={https://nilearn.github.io}, year={2024}}"
)


@pytest.fixture
def output(tmp_path):
    folder = OutputFolder(tmp_path / "out")
    folder.prepare({})
    return folder


def write(output, label, methods, analysis="within", citations=None):
    results = Results(methods=methods, citations=citations or {"haufe2014": HAUFE})
    output.write(example_unit(label, analysis), results, example_provenance())


def test_each_text_once_with_numbered_references(output):
    both = {"haufe2014": HAUFE, "nilearn": NILEARN}
    write(output, "01", "Cleaned [@nilearn].", "data", both)
    write(output, "02", "Cleaned [@nilearn].", "data", both)
    write(output, "01", "Patterns [@haufe2014; @nilearn].", "within", both)
    write(output, None, "A test.")
    found = methods_text(output.receipts())
    assert found.paragraphs == (
        "Cleaned [@nilearn].",
        "Patterns [@haufe2014; @nilearn].",
        "A test.",
    )
    assert [(item.number, item.key) for item in found.references] == [
        (1, "nilearn"),
        (2, "haufe2014"),
    ]
    assert '[<a href="#ref-2">2</a>, <a href="#ref-1">1</a>]' in found.html_paragraphs[1]


def test_texts_that_differ_say_whose_they_are(output):
    for label, runs in (("01", 4), ("02", 3), ("03", 4)):
        write(output, label, f"There were {runs} runs.")
    assert methods_text(output.receipts()).paragraphs == (
        "(sub-01, sub-03) There were 4 runs.",
        "(sub-02) There were 3 runs.",
    )


def test_only_what_finished_counts(output):
    write(output, "01", "Done.")
    write(output, "02", "Then failed [@haufe2014].")
    output.record_failure(example_unit("02"), "broken", None)
    found = methods_text(output.receipts())
    assert found.paragraphs == ("Done.",)
    assert found.references == ()


def test_html_is_escaped(output):
    write(output, "01", "p < 0.05 & more <script> [@haufe2014]")
    (paragraph,) = methods_text(output.receipts()).html_paragraphs
    assert paragraph.startswith("p &lt; 0.05 &amp; more &lt;script&gt; <span")


def test_files(output):
    write(output, "01", "Patterns [@haufe2014].")
    text, references = write_citations(output)
    assert (text.name, references.name) == ("CITATION.md", "CITATION.bib")
    assert "Patterns [@haufe2014]." in text.read_text()
    assert references.read_text() == HAUFE + "\n"


def test_files_when_nothing_ran(output):
    text, references = write_citations(output)
    assert "Nothing has been computed" in text.read_text()
    assert references.read_text().strip() == ""


def test_keys():
    assert cited_keys("A [@one; @two-b] mail@x.org [@one] [no] [@c:d_e].") == [
        *("one", "two-b", "one", "c:d_e")
    ]


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (
            HAUFE,
            "Haufe S, Meinecke F, Görgen K (2014). On the interpretation of weight vectors of "
            "linear models in multivariate NeuroImaging. NeuroImage, 87:96–110. "
            "https://doi.org/10.1016/j.neuroimage.2013.10.067",
        ),
        (NILEARN, "Nilearn contributors (2024). nilearn & friends. https://nilearn.github.io"),
        ("@book{x, author={Sj{\\o}n, Ann-Mari and others}, year=1999}", "Sjøn AM, et al. (1999)."),
        (
            "@misc{x, author={Ren\\'{e} van der Meer}, title={{\\c{C}}a va?}}",
            "van der Meer R. Ça va?",
        ),
    ],
)
def test_references_are_readable(entry, text):
    assert bibtex.parse(entry).formatted() == text


@pytest.mark.parametrize("entry", ["", "no entry", "@article{x}", "@article{x, title={open"])
def test_what_is_no_bibtex_is_refused(entry):
    with pytest.raises(BidsfaceError, match="BibTeX entry"):
        bibtex.parse(entry)


def test_an_entry_under_another_key_is_refused(output):
    with pytest.raises(BidsfaceError, match="citation other of analysis within has key haufe2014"):
        write(output, "01", "See [@other].", citations={"other": HAUFE})
