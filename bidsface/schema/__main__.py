"""``python -m bidsface.schema [--build FILE]``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bidsface.schema import build, pybids_config_path, schema_path


def main() -> None:
    """Print where the schema and the pybids configuration lie, or build the schema anew."""
    parser = argparse.ArgumentParser(prog="python -m bidsface.schema", description=main.__doc__)
    parser.add_argument("--build", type=Path, metavar="FILE", help="where to write the schema")
    target = parser.parse_args().build
    if target is None:
        print(f"{schema_path().as_uri()}\n{pybids_config_path()}")
    else:
        target.write_text(json.dumps(build(), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
