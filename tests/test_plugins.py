"""Plugins are found through real installed distributions, made in a temporary folder."""

import sys
from pathlib import Path

import pytest

from bidsface import hookspecs
from bidsface.errors import PluginError
from bidsface.plugins import load_plugins

ESTIMATORS = """
from bidsface.hookspecs import hookimpl

@hookimpl
def bidsface_estimators():
    return {{"{name}": object}}
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a one-module plugin."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install_plugin(name: str, code: str) -> None:
        module = f"plugin_for_tests_{name}"
        (tmp_path / f"{module}.py").write_text(code)
        info = tmp_path / f"{module}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[bidsface]\n{name} = {module}\n")
        monkeypatch.delitem(sys.modules, module, raising=False)

    return install_plugin


def record(name):
    return next(record for record in load_plugins().records if record.name == name)


def test_a_plugin_is_found_with_its_version_and_what_it_adds(install):
    install("naive", ESTIMATORS.format(name="naive-bayes"))
    assert load_plugins().estimators["naive-bayes"] is object
    assert record("naive").version == "1.2"
    assert record("naive").adds == ("estimator naive-bayes",)


def test_a_plugin_that_fails_to_import_is_reported_and_left_out(install):
    install("broken", "import no_such_module_anywhere")
    assert "no_such_module_anywhere" in record("broken").error
    assert "broken" not in load_plugins().versions
    assert "decoding" in load_plugins().analyses


def test_a_misspelled_hook_is_an_error_that_lists_the_hooks(install):
    install(
        "typo", ESTIMATORS.format(name="x").replace("bidsface_estimators", "bidsface_estimater")
    )
    message = r"plugin typo: bidsface_estimater is no hook; .*bidsface_estimators"
    with pytest.raises(PluginError, match=message):
        load_plugins()


ANALYSES = """
from bidsface.analysis import Analysis, AnalysisOptions
from bidsface.hookspecs import hookimpl

class Half(Analysis):
    name = "half"
    Options = AnalysisOptions

    def participant(self, participant, options):
        return None

@hookimpl
def bidsface_analyses():
    return {answer}
"""


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("Half", "bidsface_analyses must return a sequence, found ABCMeta"),
        ("[object]", "bidsface_analyses must return Analysis classes"),
        ("[Half]", "class Half lacks group"),
    ],
)
def test_what_is_no_whole_analysis_is_refused(install, answer, message):
    install("half", ANALYSES.format(answer=answer))
    with pytest.raises(PluginError, match=f"plugin half: {message}"):
        load_plugins()


def test_a_name_that_is_taken_is_an_error_that_names_both_plugins(install):
    install("thief", ESTIMATORS.format(name="ridge"))
    with pytest.raises(PluginError, match=r"decoding and thief both offer the estimator 'ridge'"):
        load_plugins()


def test_every_hook_stands_in_the_documentation():
    text = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text()
    hooks = [name for name in vars(hookspecs) if name.startswith("bidsface_")]
    assert hooks
    for hook in hooks:
        assert f"### `{hook}(" in text


def test_the_host_offers_its_regions_and_recipes_through_the_hooks():
    plugins = load_plugins()
    assert {"brain-mask", "grey-matter", "segmentation", "atlas", "mask", "spheres"} <= set(
        plugins.regions
    )
    assert "decode-tasks" in plugins.recipes
