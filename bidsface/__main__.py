"""Entry point of the command ``bidsface``."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run bidsface and return its exit status: 0 done, 1 something failed, 2 usage error."""
    from bidsface.cli import run_command

    return run_command(sys.argv[1:] if argv is None else list(argv))


if __name__ == "__main__":
    sys.exit(main())
