"""Methods text of the group level of cross-modal decoding."""

from __future__ import annotations

from bidsface_decoding.comparisons import REALIGNMENT
from bidsface_decoding.crossmodal_options import CrossmodalOptions
from bidsface_decoding.findings import Findings
from bidsface_decoding.text import group_methods

COMPARED = {
    REALIGNMENT: "with and without realignment",
    "tasks": "within one task and within another",
    "transfer": "within and across tasks",
    "directions": "from one task to another and the reverse",
    "aligners": "after different aligners",
    "motion": "with and without regressing head motion out",
    "estimators": "of different classifiers",
}


def crossmodal_group_methods(found: Findings, options: CrossmodalOptions) -> str:
    """Describe what was done with the participants' scores, and no more than that."""
    if found.n < 2:
        return "Scores are those of one participant; there was no inference."
    tested = any(family.test is not None for family in found.families.values())
    sentences = [group_methods(tested, options.group_draws)]
    sentences.append("The accuracy of every class was tested by the same signed-rank test.")
    kinds = list(dict.fromkeys(one.kind for one in found.comparisons))
    if kinds:
        what = _listed([COMPARED[kind] for kind in kinds])
        one_tailed = " (one-tailed for the gain by realignment)" if REALIGNMENT in kinds else ""
        sentences.append(
            f"Scores {what} were compared in every region by exact two-tailed Wilcoxon signed-rank "
            f"tests of the participants' differences{one_tailed}, adjusted over regions by the "
            "false discovery rate."
        )
    if not found.correlations.empty:
        sentences.append(
            "Scores were correlated over participants with the mean framewise displacement of the "
            "tested and of the trained task (Spearman; two-tailed p by permuting participants "
            "[@phipson2010], adjusted over regions by the false discovery rate)."
        )
    return " ".join(sentences)


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{'; '.join(parts[:-1])}; and {parts[-1]}"
