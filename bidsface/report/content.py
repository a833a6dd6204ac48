"""What a report page says, gathered from receipts and from the files that they list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bidsface.recipe import OVERVIEW
from bidsface.report.parts import (
    FigureView,
    LinkView,
    MethodsView,
    TableView,
    figure_view,
    methods_view,
    table_view,
)

if TYPE_CHECKING:
    from bidsface.derivatives import OutputFolder
    from bidsface.derivatives.receipts import Receipt
    from bidsface.report.pages import ReportContext

FAILED, NOT_RUN = "failed", "not run"
FIGURE, SIDECAR, VIEW = "figure", "sidecar", "view"


@dataclass(frozen=True)
class Section:
    """What one unit of work says of itself."""

    anchor: str
    name: str
    kind: str
    status: str
    message: str
    seconds: str
    highlights: tuple[str, ...]
    warnings: tuple[str, ...]
    tables: tuple[TableView, ...]
    figures: tuple[FigureView, ...]
    views: tuple[LinkView, ...]
    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Failure:
    """A unit that failed; ``crash_file`` is the path of its traceback, if one was kept."""

    who: str
    analysis: str
    message: str
    crash_file: str


@dataclass(frozen=True)
class ParticipantRow:
    """A participant in the group page: the page's name if there is one, and statuses."""

    label: str
    page: str
    statuses: tuple[str, ...]
    n_warnings: int


@dataclass(frozen=True)
class Page:
    """Everything that a template needs.

    Attributes
    ----------
    data : Section or None
        The host's own unit; None on the group page.
    sections : tuple of Section
        The analyses.
    analyses : tuple of str
        Header of the participants' statuses.
    participants : tuple of ParticipantRow
        Empty on a participant's page.
    facts : tuple of (str, str)
        Rows of the section "About".
    """

    title: str
    data: Section | None
    sections: tuple[Section, ...]
    methods: MethodsView
    failures: tuple[Failure, ...]
    facts: tuple[tuple[str, str], ...]
    group_page: str = ""
    analyses: tuple[str, ...] = ()
    participants: tuple[ParticipantRow, ...] = ()


def participant_page(output: OutputFolder, label: str, context: ReportContext) -> Page:
    """Gather the page of one participant."""
    receipts = output.receipts(level="participant", participant=label)
    found = {receipt.unit.analysis: receipt for receipt in receipts}
    names = [name for name in _ordered(found, context) if name != OVERVIEW]
    ordered = [found[name] for name in (OVERVIEW, *names) if name in found]
    beside = context.group_report or (output.root / "group.html").is_file()
    return Page(
        title=f"sub-{label}",
        data=_section(OVERVIEW, found.get(OVERVIEW), output.root),
        sections=tuple(_section(name, found.get(name), output.root) for name in names),
        methods=methods_view(ordered),
        failures=_failures(ordered),
        facts=_facts(ordered),
        group_page="group.html" if beside else "",
    )


def group_page(output: OutputFolder, context: ReportContext) -> Page:
    """Gather the page of the group, which also lists every participant."""
    group = {receipt.unit.analysis: receipt for receipt in output.receipts(level="group")}
    individual = output.receipts(level="participant")
    names = [name for name in _ordered(group, context) if name != OVERVIEW]
    ordered = [group[name] for name in names if name in group]
    computed = _ordered({receipt.unit.analysis for receipt in individual}, context)
    columns = tuple(dict.fromkeys((OVERVIEW, *computed)))
    return Page(
        title="Group",
        data=None,
        sections=tuple(_section(name, group.get(name), output.root) for name in names),
        methods=methods_view([*individual, *ordered]),
        failures=_failures([*ordered, *individual]),
        facts=_facts([*ordered, *individual]),
        analyses=columns,
        participants=_participant_rows(individual, columns, output.root),
    )


def _ordered(found: Iterable[str], context: ReportContext) -> list[str]:
    """Return analyses in the recipe's order, then those of earlier recipes by name."""
    return list(dict.fromkeys((*context.analyses, *sorted(found))))


def _section(name: str, receipt: Receipt | None, root: Path) -> Section:
    anchor = f"analysis-{name}"
    if receipt is None:
        return Section(anchor, name, "", NOT_RUN, "", "", (), (), (), (), (), ())
    figures = [file for file in receipt.files if file.kind == FIGURE]
    views = [file for file in receipt.files if file.kind == VIEW]
    others = [file for file in receipt.files if file.kind not in (FIGURE, SIDECAR, VIEW)]
    return Section(
        anchor=anchor,
        name=name,
        kind=str(receipt.options.get("analysis", "")),
        status=receipt.status,
        message=receipt.message,
        seconds=duration(receipt.seconds),
        highlights=tuple(receipt.highlights),
        warnings=tuple(dict.fromkeys(receipt.warnings)),
        tables=tuple(
            table_view(summary.title, summary.columns, summary.rows, summary.caption)
            for summary in receipt.summaries
        ),
        figures=tuple(figure_view(root, file.path, file.title, file.caption) for file in figures),
        views=tuple(LinkView(file.path, file.title, file.caption) for file in views),
        files=tuple((file.path, file.title) for file in others),
    )


def duration(seconds: float) -> str:
    """Return a duration as people read it."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _failures(receipts: Iterable[Receipt]) -> tuple[Failure, ...]:
    return tuple(
        Failure(
            who=receipt.unit.owner,
            analysis=receipt.unit.analysis,
            message=receipt.message,
            crash_file=receipt.crash_file,
        )
        for receipt in receipts
        if receipt.status == FAILED
    )


def _facts(receipts: Sequence[Receipt]) -> tuple[tuple[str, str], ...]:
    """Return when, how long and with which seed and software the results were computed."""
    started = sorted(receipt.started for receipt in receipts if receipt.started)
    rows = []
    if started:
        ends = dict.fromkeys((_moment(started[0]), _moment(started[-1])))
        rows.append(("Computed", " to ".join(ends)))
        rows.append(("Computing time", duration(sum(receipt.seconds for receipt in receipts))))
    rows.append(
        (
            "Random seed",
            _distinct(str(receipt.seed) for receipt in receipts if receipt.seed is not None),
        )
    )
    programs = dict.fromkeys(name for receipt in receipts for name in receipt.versions)
    for name in programs:
        found = (receipt.versions[name] for receipt in receipts if name in receipt.versions)
        rows.append((name, _distinct(found)))
    return tuple(row for row in rows if row[1])


def _moment(started: str) -> str:
    return datetime.fromisoformat(started).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _distinct(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values))


def _participant_rows(
    receipts: Sequence[Receipt], columns: Sequence[str], root: Path
) -> tuple[ParticipantRow, ...]:
    by_label: dict[str, dict[str, Receipt]] = {}
    for receipt in receipts:
        by_label.setdefault(str(receipt.unit.participant), {})[receipt.unit.analysis] = receipt
    return tuple(
        _participant_row(label, by_label[label], columns, root) for label in sorted(by_label)
    )


def _participant_row(
    label: str, found: Mapping[str, Receipt], columns: Sequence[str], root: Path
) -> ParticipantRow:
    page = f"sub-{label}.html"
    return ParticipantRow(
        label=label,
        page=page if (root / page).is_file() else "",
        statuses=tuple(found[name].status if name in found else NOT_RUN for name in columns),
        n_warnings=sum(len(set(receipt.warnings)) for receipt in found.values()),
    )
