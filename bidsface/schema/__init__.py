"""The BIDS schema with the suffixes and entities of bidsface, and a configuration for pybids.

``bids-extended.json`` is the schema of the BIDS version that it names, plus `extend`; the
validator takes it as ``bids-validator-deno --schema file:///PATH``. ``pybids.json`` goes into
``BIDSLayout(..., config=["bids", "derivatives", PATH])``. ``python -m bidsface.schema`` prints both
paths; with ``--build FILE`` it extends the schema of the installed bidsschematools instead.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bidsface.derivatives.names import NEW_SUFFIXES, TABLE_SUFFIXES

NEW_ENTITIES = {
    "contrast": "Name of the contrast that a map shows",
    "stat": "Statistic that a map shows, such as t, z, p, accuracy, weight or pattern",
}

NOT_IN_TABLES = frozenset({"template", "stat"})
"""Entities that stand in none of our names, or in those of maps alone."""


def schema_path() -> Path:
    """Return the path of the extended schema."""
    return Path(__file__).parent / "bids-extended.json"


def pybids_config_path() -> Path:
    """Return the path of the pybids configuration."""
    return Path(__file__).parent / "pybids.json"


def build() -> dict[str, Any]:
    """Extend the schema of the installed bidsschematools, without its prose."""
    from bidsschematools.schema import load_schema

    extended = extend(load_schema().to_dict())
    return extended | {"objects": _without_prose(extended["objects"])}


def extend(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a BIDS schema with what bidsface writes beyond it."""
    extended = copy.deepcopy(dict(schema))
    objects, rules = extended["objects"], extended["rules"]
    for name, meaning in NEW_ENTITIES.items():
        objects["entities"][name] = {**_term(name, meaning), "type": "string", "format": "label"}
    for suffix in NEW_SUFFIXES:
        objects["suffixes"][suffix] = {"value": suffix, **_term(suffix, "")}
    objects["extensions"]["npz"] = {"value": ".npz", **_term("NumPy archive", "")}
    rules["entities"] = _entity_order(rules["entities"])
    rules["files"]["deriv"]["bidsface"] = _file_rules(rules["entities"])
    rules["sidecars"]["derivatives"]["bidsface"] = _sidecar_rules()
    return extended


def _entity_order(entities: list[str]) -> list[str]:
    """Put the cohort behind the space, as fMRIPrep does, and the new entities at the end."""
    order = [name for name in entities if name != "cohort"]
    order.insert(order.index("space") + 1, "cohort")
    return [*order, *NEW_ENTITIES]


def _file_rules(entities: list[str]) -> dict[str, Any]:
    shared = {name: "optional" for name in entities if name not in NOT_IN_TABLES}
    shared["description"] = "required"
    in_maps = {**shared, "stat": "required"}
    return {
        "statmaps": _file_rule(["statmap"], [".nii.gz", ".json"], in_maps),
        "tables": _file_rule(["relmat", *TABLE_SUFFIXES], [".tsv", ".json"], shared),
        "models": _file_rule(["model"], [".npz", ".json"], shared),
    }


def _file_rule(
    suffixes: list[str], extensions: list[str], entities: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "selectors": ["dataset.dataset_description.DatasetType == 'derivative'"],
        "suffixes": suffixes,
        "extensions": extensions,
        "datatypes": ["func"],
        "entities": dict(entities),
    }


def _sidecar_rules() -> dict[str, Any]:
    suffixes = ", ".join(f"'{suffix}'" for suffix in NEW_SUFFIXES)
    return {
        "Results": {
            "selectors": [
                # With just these quotes: the validator looks for this very text.
                'dataset.dataset_description.DatasetType == "derivative"',
                f"intersects([suffix], [{suffixes}])",
            ],
            "fields": {"Description": "required", "Sources": "required"},
        }
    }


def _term(name: str, meaning: str) -> dict[str, str]:
    return {"name": name, "display_name": name.capitalize(), "description": meaning}


def _without_prose(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: _without_prose(value)
            for key, value in node.items()
            if not (key == "description" and isinstance(value, str))
        }
    return node
