"""Sections of documents that benchmarks write, between markers, so that several share a file."""

from __future__ import annotations

import platform
from pathlib import Path


def replace_section(path: Path, name: str, text: str) -> None:
    """Put text between the markers of a section, which is appended where it does not exist yet."""
    start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
    section = f"{start}\n{text.strip()}\n{end}"
    document = path.read_text(encoding="utf-8") if path.exists() else ""
    if start in document:
        before, rest = document.split(start, 1)
        document = before + section + rest.split(end, 1)[1]
    else:
        document = f"{document.rstrip()}\n\n{section}\n".lstrip()
    path.write_text(document, encoding="utf-8")


def machine() -> str:
    """Name the processor, as far as the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
