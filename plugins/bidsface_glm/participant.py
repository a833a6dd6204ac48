"""The participant level: model every run, combine runs, and put maps into results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bidsface.analysis import BoldRun, Entities, Map, Participant, Results, Voxels, usable_tasks
from bidsface.anatomy import structure_map
from bidsface.backgrounds import mean_map
from bidsface.errors import InputError
from bidsface_glm import report, text
from bidsface_glm.contrasts import Weights
from bidsface_glm.design import Design, build_design, design_notes
from bidsface_glm.first_level import Estimate, Statistics, fit_run, fixed_effects, statistics_of
from bidsface_glm.options import GlmOptions
from bidsface_glm.plan import TaskPlan, plan_task, wanted_contrasts

UNITS: Mapping[str, str | None] = {
    "voxel": "percent of the voxel's mean",
    "grand": "percent of the brain's mean",
    "none": None,
}

DESCRIPTIONS: Mapping[str, str] = {
    "effect": "Effect of contrast {contrast} in task {task} ({weights}): fixed effects over "
    "{n_runs} run(s).",
    "variance": "Variance of the effect of contrast {contrast} in task {task}.",
    "t": "t of contrast {contrast} in task {task}: fixed effects over {n_runs} run(s), {dof:g} "
    "degrees of freedom.",
    "z": "t of contrast {contrast} in task {task} as the normal deviate of equal p.",
    "p": "p of contrast {contrast} in task {task}, {sides}, not corrected for the number of "
    "voxels.",
}


@dataclass(frozen=True, eq=False)
class TaskModel:
    """What was found in one task.

    Attributes
    ----------
    task : str
    entities : mapping
        Those that its runs have in common.
    designs : sequence of Design
    weights : mapping of str to Weights
        Contrasts by label.
    found : mapping of str to Statistics
        The same contrasts, over runs.
    n_runs : mapping of str to int
        Runs that each of them is made of.
    notes : sequence of str
    """

    task: str
    entities: Entities
    designs: Sequence[Design]
    weights: Mapping[str, Weights]
    found: Mapping[str, Statistics]
    n_runs: Mapping[str, int]
    notes: Sequence[str]


def model_participant(participant: Participant, options: GlmOptions) -> Results:
    """Model every task of a participant.

    Raises
    ------
    InputError
        If the participant has none of the tasks, or no contrast can be estimated.
    """
    models, warnings = model_tasks(participant, options)
    voxels = participant.brain
    methods = text.participant_methods(options)
    maps = [map_ for model in models for map_ in _maps(model, voxels, options)]
    return Results(
        maps=[*maps, *_anatomy(participant, models)],
        figures=[
            figure
            for model in models
            for figure in report.participant_figures(model, participant, options)
        ],
        summaries=[report.peak_summary(models, voxels, participant.structures)],
        methods=methods,
        citations=text.citations_of(methods),
        highlights=report.participant_highlights(models, voxels),
        warnings=list(dict.fromkeys(warnings)),
    )


def model_tasks(participant: Participant, options: GlmOptions) -> tuple[list[TaskModel], list[str]]:
    """Return what was found in every task, and what is to be said about it.

    Raises
    ------
    InputError
        If the participant has none of the tasks, or no contrast can be estimated.
    """
    tasks, warnings = usable_tasks(participant, options.tasks, "modelled")
    runs = {task: participant.bold_runs(task) for task in tasks}
    models = [_model_task(participant, task, runs, options) for task in tasks]
    warnings.extend(note for model in models for note in model.notes)
    if not any(model.found for model in models):
        raise InputError(
            f"sub-{participant.label}: no contrast could be estimated; {'; '.join(warnings)}"
        )
    return models, warnings


def _model_task(
    participant: Participant,
    task: str,
    runs: Mapping[str, Sequence[BoldRun]],
    options: GlmOptions,
) -> TaskModel:
    designs = [build_design(run, options) for run in runs[task]]
    wanted = wanted_contrasts(task, runs, options, participant.label)
    plan = plan_task(task, wanted, designs)
    estimates = _fit_runs(participant, runs[task], designs, plan, options)
    found = {
        name: statistics_of(fixed_effects(several, options.precision_weighted), options.two_sided)
        for name, several in estimates.items()
    }
    return TaskModel(
        task,
        common_entities([run.entities for run in runs[task]]),
        designs,
        plan.contrasts,
        found,
        {name: len(several) for name, several in estimates.items()},
        [*design_notes(designs), *plan.notes],
    )


def _fit_runs(
    participant: Participant,
    runs: Sequence[BoldRun],
    designs: Sequence[Design],
    plan: TaskPlan,
    options: GlmOptions,
) -> dict[str, list[Estimate]]:
    """Fit run after run, so that no more than one is in memory; return estimates by contrast."""
    found: dict[str, list[Estimate]] = {name: [] for name in plan.contrasts}
    for run, design in zip(runs, designs, strict=True):
        vectors = {
            name: vector
            for name, weights in plan.contrasts.items()
            if (vector := design.vector(weights)) is not None
        }
        if vectors:
            estimates = fit_run(
                run.load(options.smoothing_fwhm),
                design.matrix,
                vectors,
                options.noise_model,
                options.scaling,
                participant.map,
            )
            for name, estimate in estimates.items():
                found[name].append(estimate)
    return found


def common_entities(several: Sequence[Entities]) -> dict[str, str]:
    """Return the entities that all have in common."""
    first, *others = several
    return {
        key: value
        for key, value in first.items()
        if all(other.get(key) == value for other in others)
    }


def _maps(model: TaskModel, voxels: Voxels, options: GlmOptions) -> list[Map]:
    kept = [stat for stat in DESCRIPTIONS if stat != "p" or options.p_maps]
    return [
        Map(
            stat,
            getattr(statistics, stat),
            voxels,
            {**model.entities, "contrast": name},
            DESCRIPTIONS[stat].format(
                contrast=name,
                task=model.task,
                weights=text.weights_text(model.weights[name]),
                n_runs=model.n_runs[name],
                dof=statistics.dof,
                sides="two-sided" if options.two_sided else "one-sided",
            ),
            units=UNITS[options.scaling] if stat == "effect" else None,
        )
        for name, statistics in model.found.items()
        for stat in kept
    ]


def _anatomy(participant: Participant, models: Sequence[TaskModel]) -> list[Map]:
    """Return what the group level draws on and names peaks by."""
    entities = common_entities([model.entities for model in models])
    structures = structure_map(participant, entities)
    return [mean_map(participant, entities), *([] if structures is None else [structures])]
