"""Versions of the software that results are made with."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from bidsface import __version__
from bidsface.plugins import Plugins

LIBRARIES = ("numpy", "scipy", "scikit-learn", "nilearn", "nibabel", "pandas", "pybids")


def software_versions(plugins: Plugins) -> dict[str, str]:
    """Return versions of bidsface, its plugins and the libraries that do the arithmetic."""
    versions = {"bidsface": __version__}
    versions |= {
        f"plugin {name}": found for name, found in plugins.versions.items() if name != "bidsface"
    }
    for library in LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:  # an optional one
            continue
    return versions
