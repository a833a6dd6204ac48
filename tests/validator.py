"""The BIDS validator, run on a folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def validator_issues(
    root: Path, *, schema: Path | None = None, ignore: tuple[str, ...] | None = None
) -> list[tuple[str, str]]:
    """Return ``(location, code)`` of every error; every row of every table is checked.

    Parameters
    ----------
    root : Path
        Data set; it must not be in use, for ``ignore`` replaces its ``.bidsignore`` meanwhile.
    schema : Path or None
        Schema file in place of the validator's own.
    ignore : tuple of str or None
        Lines in place of those in ``.bidsignore``.
    """
    command = [_executable(), "--json", "--max-rows", "-1", "--ignoreWarnings", str(root)]
    if schema is not None:
        command += ["--schema", schema.as_uri()]
    ignored = root / ".bidsignore"
    kept = ignored.read_text() if ignored.exists() else None
    if ignore is not None:
        ignored.write_text("\n".join(ignore) + "\n")
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        if ignore is not None:
            ignored.unlink()
            if kept is not None:
                ignored.write_text(kept)
    assert done.stdout.startswith("{"), done.stderr
    issues = json.loads(done.stdout)["issues"]["issues"]
    return sorted(
        (issue["location"], issue["code"]) for issue in issues if issue["severity"] == "error"
    )


def _executable() -> str:
    beside = Path(sys.executable).parent / "bids-validator-deno"
    found = str(beside) if beside.exists() else shutil.which("bids-validator-deno")
    if found is None:
        pytest.fail("bids-validator-deno is not installed; install bidsface[test]")
    return found
