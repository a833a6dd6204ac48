"""What a leakage audit says, in sentences."""

from __future__ import annotations

from collections.abc import Mapping

from bidsface_emotion_cnn.leakage_audit import METRICS, NAMES, Difference, LeakageAudit
from bidsface_emotion_cnn.overlap import Overlap


def difference_text(one: Difference, level: float) -> str:
    """Say how large a difference is."""
    return (
        f"{METRICS[one.metric]} {one.first_score:.2f} with {NAMES[one.first]}, "
        f"{one.second_score:.2f} with {NAMES[one.second]}: difference {one.difference:+.2f} "
        f"({100 * level:.0f} % CI {one.low:.2f} to {one.high:.2f}; {one.first_train:,.0f} and "
        f"{one.second_train:,.0f} training volumes)"
    )


def verdict(name: str, audit: LeakageAudit) -> str:
    """Return what the audit of a classifier has found, for the top of a report.

    Parameters
    ----------
    name : str
        Of the classifier.
    audit : LeakageAudit
    """
    if "random" not in audit.schemes:
        return f"{name}: without the random split there is nothing to compare honest splits with."
    found = [one for one in audit.differences if one.first == "random"]
    leaks = audit.leaks
    if leaks:
        texts = "; ".join(difference_text(one, audit.level) for one in leaks)
        return f"{name}: the random split's score is inflated by leakage: {texts}."
    texts = "; ".join(difference_text(one, audit.level) for one in found)
    if len(audit.participant_codes) < 2:
        return f"{name}: with one participant it cannot be told whether the split leaks: {texts}."
    return (
        f"{name}: no leakage was found beyond {audit.threshold:g}, which does not show that there "
        f"is none: {texts}."
    )


def warnings_of(name: str, audit: LeakageAudit) -> list[str]:
    """Return what a reader of the report has to know of a classifier's scores."""
    texts = []
    if audit.leaks:
        worst = max(audit.leaks, key=lambda one: one.difference)
        texts.append(
            f"{name}: {difference_text(worst, audit.level)}. Under the random split neighbouring "
            "volumes of the same participant, and the same second of the film of other "
            "participants, are in the training part: do not report its scores as recognition of "
            "emotions."
        )
    if audit.film_leaks:
        worst = max(audit.film_leaks, key=lambda one: one.difference)
        texts.append(
            f"{name}: {difference_text(worst, audit.level)}. Moments of the film that others have "
            "seen in training are recognized better than new ones: with participants held out, "
            "part of the score is the moment, not the emotion."
        )
    return texts


def overlap_text(overlaps: Mapping[str, Overlap]) -> str:
    """Say, for every split, what of the test part was known from training."""
    sentences = [
        f"With {NAMES[scheme]}, {100 * one.share(one.n_near):.0f} % of {one.n_tested:,} tested "
        f"volumes had a volume of the same participant within {one.seconds:g} s in the training or "
        f"validation part, and {100 * one.share(one.n_same_second):.0f} % the same second of the "
        "film of another participant."
        for scheme, one in overlaps.items()
    ]
    return " ".join(sentences)
