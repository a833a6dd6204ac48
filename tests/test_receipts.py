"""Receipts as values and as files."""

import numpy as np
import pandas as pd
import pytest
from example_results import example_unit

from bidsface.analysis import Summary
from bidsface.derivatives.receipts import FileRecord, Receipt, ReceiptFolder, summary_record


@pytest.fixture
def folder(tmp_path):
    return ReceiptFolder(tmp_path / "receipts")


def put(folder, receipt):
    folder.root.mkdir(exist_ok=True)
    folder.put(receipt, folder.root / "temporary")


def test_a_receipt_comes_back(folder):
    record = FileRecord("a/b_scores.tsv", "table", "scores", 3, 4, "abc", entities={"sub": "01"})
    receipt = Receipt(
        example_unit(),
        "done",
        options={"analysis": "decoding", "alphas": [1, 2.5, None], "nested": {"on": True}},
        seed=3,
        seconds=0.125,
        files=[record],
        methods="Ümlaut [@key]",
        citations={"key": "@misc{key, title={T}}"},
        highlights=["x"],
        warnings=["y"],
    )
    put(folder, receipt)
    found = folder.get(example_unit())
    assert found.files == [record]
    assert found.options == receipt.options
    assert type(found.options["alphas"][0]) is int
    assert found.methods == receipt.methods
    assert (found.seed, found.seconds) == (3, 0.125)


def test_a_group_receipt_does_not_hide_a_participant_called_group(folder):
    for label in (None, "group"):
        put(folder, Receipt(example_unit(label), "done"))
    assert [found.unit.participant for found in folder.find(None, None, None)] == ["group", None]


def test_there_is_no_receipt_of_what_did_not_run(folder):
    assert folder.get(example_unit()) is None
    assert list(folder.find(None, None, None)) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"status": "done"}', b"\xff\xfe", b"null"])
def test_a_receipt_that_cannot_be_read_is_none(folder, content):
    put(folder, Receipt(example_unit(), "done"))
    folder.path(example_unit()).write_bytes(content)
    assert folder.get(example_unit()) is None
    assert list(folder.find(None, None, None)) == []


def test_neighbours_are_the_other_units_of_the_same_owner(folder):
    for label, analysis in (("01", "a"), ("01", "b"), ("02", "a"), (None, "a")):
        put(folder, Receipt(example_unit(label, analysis), "done"))
    found = folder.neighbours(example_unit("01", "a"))
    assert [receipt.unit for receipt in found] == [example_unit("01", "b")]


def test_summaries_become_plain_values():
    frame = pd.DataFrame(
        {
            "n": np.array([1, 2]),
            "mean": [0.5, np.nan],
            "flag": [True, False],
            "text": ["a", None],
            "when": pd.to_datetime(["2020-01-01", None]),
        },
        index=pd.Index(["x", "y"], name="task"),
    )
    record = summary_record(Summary("Title", frame, "Caption"))
    assert record.columns == ["task", "n", "mean", "flag", "text", "when"]
    assert record.rows == [
        ["x", 1, 0.5, True, "a", "2020-01-01 00:00:00"],
        ["y", 2, None, False, None, None],
    ]
    assert (record.title, record.caption) == ("Title", "Caption")


def test_summaries_without_a_named_index_do_not_show_it():
    assert summary_record(Summary("T", pd.DataFrame({"a": [1]}))).columns == ["a"]
