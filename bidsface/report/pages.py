"""Reports: one self-contained HTML page per participant and one for the group.

The pages are made from receipts and the files that they list, so they can be written anew at any
time (`--reports-only`). They load nothing, from the web or from beside them.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from bidsface.report.content import Page, group_page, participant_page

if TYPE_CHECKING:
    from bidsface.derivatives import OutputFolder


@dataclass(frozen=True)
class ReportContext:
    """What a page says about the run that wrote it.

    Attributes
    ----------
    command : tuple of str
        The command line.
    version : str
        Version of bidsface that wrote the page; the receipts know what computed the results.
    recipe_name, recipe_description, recipe_text : str
        The recipe; its text is YAML.
    random_seed : int
    analyses : tuple of str
        Analyses of the recipe in its order, which is the order of the sections; analyses that have
        no receipt are shown as not run. Empty: those of the receipts, by name.
    group_report : bool
        A group page will stand beside the participants' pages, which then link to it.
    """

    command: tuple[str, ...]
    version: str
    recipe_name: str
    recipe_text: str
    random_seed: int
    recipe_description: str = ""
    analyses: tuple[str, ...] = ()
    group_report: bool = False


def write_participant_report(output: OutputFolder, label: str, context: ReportContext) -> Path:
    """Write ``sub-LABEL.html`` into the output folder and return its path."""
    page = participant_page(output, label, context)
    return output.write_text(f"sub-{label}.html", _render("participant.html.j2", page, context))


def write_group_report(output: OutputFolder, context: ReportContext) -> Path:
    """Write ``group.html`` into the output folder and return its path."""
    page = group_page(output, context)
    return output.write_text("group.html", _render("group.html.j2", page, context))


def _render(template: str, page: Page, context: ReportContext) -> str:
    command = shlex.join(context.command)
    return _templates().get_template(template).render(page=page, context=context, command=command)


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("bidsface.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
