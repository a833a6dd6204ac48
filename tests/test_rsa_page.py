"""The recipes of docs/rsa.md are complete, and their names exist."""

import re
from pathlib import Path

import pytest

from bidsface.analyses import check_analyses
from bidsface.plugins import load_plugins
from bidsface.recipe_loading import load_recipe

PAGE = Path(__file__).parents[1] / "docs" / "rsa.md"
RECIPES = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
PIXELS = """name\tjoy\tanger\tfear
joy\t0\t1\t2
anger\t1\t0\t3
fear\t2\t3\t0
"""


@pytest.mark.parametrize("text", RECIPES, ids=["events", "film"])
def test_recipes_of_the_page_can_be_run(text, tmp_path):
    folder = tmp_path / "stimuli"
    (folder / "annotations").mkdir(parents=True)
    (folder / "pixels.tsv").write_text(PIXELS)
    (folder / "annotations" / "one.csv").write_text("start,end,emotion\n0,2,JOY\n")
    path = tmp_path / "page.yaml"
    path.write_text(text)
    plugins = load_plugins()
    loaded = load_recipe(str(path), plugins)
    assert list(loaded.options) == ["similarity"]
    check_analyses(loaded, plugins, 1, bids_dir=tmp_path)
