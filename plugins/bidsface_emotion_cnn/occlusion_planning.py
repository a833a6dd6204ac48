"""How many neighbouring boxes share a window, so that occlusion of a volume costs least."""

from __future__ import annotations

import numpy as np

from bidsface_emotion_cnn.occlusion_base import Axes
from bidsface_emotion_cnn.occlusion_grid import Triple
from bidsface_emotion_cnn.occlusion_network import Network
from bidsface_emotion_cnn.occlusion_windows import Neighbours

SHARING = (1, 2, 4)
"""Boxes along each axis that may share a window."""

CALLS = 2**18
"""What the calls of a batch cost, in numbers of windows that are computed in the same time."""


def cheapest(
    network: Network, box: Triple, step: Triple, counts: Triple, most: int | None = None
) -> tuple[Axes, Neighbours | None]:
    """Return positions of windows, and the boxes that share each; None for one box each.

    Parameters
    ----------
    network : Network
    box, step, counts : tuple of three ints
        Size of the boxes, distance between them, and their number, along each axis.
    most : int, optional
        Boxes that a batch may hold.
    """
    plans: list[tuple[float, Axes, Neighbours]] = []
    for n in SHARING:
        x, y, z = (min(n, count) for count in counts)
        neighbours = Neighbours((x, y, z), box, step, counts)
        if plans and most is not None and neighbours.n > most:
            continue
        axes = network.axes(neighbours.starts, neighbours.whole)
        plans.append((cost(network, axes, neighbours.n), axes, neighbours))
    _, axes, neighbours = min(plans, key=lambda plan: plan[0])
    return axes, None if neighbours.n == 1 else neighbours


def cost(network: Network, axes: Axes, each: int) -> float:
    """Return what occlusion costs: numbers in all windows, and calls of all kinds of batches."""
    # A window's numbers are a product over axes, so that their sum over windows is one, too.
    sums = np.prod([axis.sizes.sum(axis=1).astype(float) for axis in axes], axis=0)
    numbers = float((sums * np.array(network.channels)).sum()) * each
    return numbers + CALLS * float(np.prod([len(axis.classes) for axis in axes]))
