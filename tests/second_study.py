"""Two small studies with the same labels, and an analysis that reads both, for tests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from bidsface import __version__
from bidsface.__main__ import main
from bidsface.analysis import Analysis, AnalysisOptions, Column, Map, Results, Table, Voxels
from bidsface.derivatives import OutputFolder, Provenance, Unit
from bidsface.plugins import PluginRecord, Plugins
from bidsface.regions import HOST_SOURCES

COLUMNS = {
    "person": Column("Who it is"),
    "data_set": Column("Data set of the participant"),
    "value": Column("Sum of the map"),
    "noise": Column("A number drawn for the participant"),
    "site": Column("What participants.tsv says"),
}


class Reach(Analysis):
    """One row per participant of any data set, from its map, its table and its own seed."""

    name = "reach"
    other_datasets = True

    class Options(AnalysisOptions):
        site_column: str = ""
        scale: float = 1.0

    def columns_used(self, options):
        return (options.site_column,) if options.site_column else ()

    def participant(self, participant, options):
        samples = participant.samples("averages", "display")
        values = options.scale * np.abs(samples.X).mean(axis=0)
        return of_one(values, participant.voxels)

    def group(self, participants, options):
        first = participants[0].maps[0].grid()
        everywhere = Voxels(first, np.arange(np.prod(first.shape)))

        def row(found):
            value = found.maps[0].load(everywhere).sum()
            assert np.isclose(value, found.table("scores")["value"].sum(), rtol=1e-5)
            noise = np.random.default_rng(self.seed("noise", found.key)).normal()
            return {
                "person": found.key,
                "data_set": found.dataset or "own",
                "value": value,
                "noise": noise,
                "site": self._site(found, options),
            }

        frame = pd.DataFrame(self.map(row, participants))
        return Results(
            tables=[Table("scores", frame, COLUMNS, {"task": "display"}, "Everybody")],
            warnings=["A warning of the analysis."],
        )

    def _site(self, found, options):
        if not options.site_column or found.dataset:
            return None
        return self.participants_table.loc[found.label, options.site_column]


class Home(Reach):
    """The same, but it asks for no other data set."""

    name = "home"
    other_datasets = False


def of_one(values, voxels):
    """Return a participant's results."""
    column = {"value": COLUMNS["value"]}
    frame = pd.DataFrame({"value": [float(np.sum(values))]})
    where = {"task": "display"}
    return Results(
        maps=[Map("effect", values, voxels, where, "Mean size of the signal")],
        tables=[Table("scores", frame, column, where, "Sum of the map")],
    )


def plugins() -> Plugins:
    """Return the host's own additions and the two analyses."""
    analyses = {"reach": Reach, "home": Home}
    return Plugins(analyses, HOST_SOURCES, {}, {}, (PluginRecord("bidsface", __version__),))


def write_recipe(folder: Path) -> Path:
    """Write the recipe of both studies."""
    content = {
        "description": "two data sets",
        "inputs": {"tasks": ["display"]},
        "samples": {"averages": {"kind": "average", "shift": 5}},
        "regions": {"brain": {"source": "brain-mask"}},
        "analyses": {"reach": {"analysis": "reach"}, "home": {"analysis": "home"}},
    }
    path = folder / "two.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def run(bids: Path, out: Path, *argv, levels=("group",)) -> int:
    """Run bidsface in this process."""
    recipe = bids.parent / "two.yaml"
    arguments = [bids, out, *levels, "--recipe", recipe, "--nprocs", "1", *argv]
    return main([str(argument) for argument in arguments])


def replace_results(out: Path, label: str, results: Results) -> None:
    """Give a participant other results than before, as a newer run would."""
    folder = OutputFolder(out)
    (earlier,) = folder.receipts("participant", label, "reach")
    known = Provenance((), earlier.options, earlier.seed, earlier.versions, "", earlier.inputs)
    unit = Unit("participant", "reach", label, f"{earlier.unit.fingerprint}x")
    folder.write(unit, results, known)


def description(out: Path) -> dict:
    """Return what an output says of itself."""
    return json.loads((out / "dataset_description.json").read_text())
