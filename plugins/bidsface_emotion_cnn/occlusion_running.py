"""Batches of boxes worked off, on the CPU by several threads at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from bidsface_emotion_cnn.occlusion_network import Network
from bidsface_emotion_cnn.occlusion_space import Space
from bidsface_emotion_cnn.occlusion_windows import Batch

TOGETHER = 32
"""Batches whose last steps are done together."""


def run_batches(network: Network, batches: Iterable[Batch], value: float, changes: Tensor) -> None:
    """Occlude all boxes, and write changes of the logits to `changes`, (n_positions, n_classes).

    On the CPU as many batches are worked off at once as torch uses threads; the operations of a
    batch are too small to be divided among threads.
    """
    waiting, device = deque(batches), changes.device

    def worker() -> None:
        with torch.inference_mode():
            space = Space(device)
            done: list[Batch] = []
            found: list[Tensor] = []
            while (batch := _taken(waiting)) is not None:
                done.append(batch)
                found.append(network.changes(batch, space, value))
                if len(done) == TOGETHER:
                    _deliver(done, network.finish(found, space), changes)
                    done, found = [], []
            if done:
                _deliver(done, network.finish(found, space), changes)

    n_threads = torch.get_num_threads()
    n_workers = min(n_threads, len(waiting)) if device.type == "cpu" else 1
    if n_workers <= 1:
        worker()
        return
    try:
        with ThreadPoolExecutor(
            n_workers, initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            for done in [pool.submit(worker) for _ in range(n_workers)]:
                done.result()
    finally:
        torch.set_num_threads(n_threads)


def _taken(waiting: deque[Batch]) -> Batch | None:
    try:
        return waiting.popleft()
    except IndexError:
        return None


def _deliver(done: Sequence[Batch], found: Tensor, changes: Tensor) -> None:
    positions = np.concatenate([batch.positions for batch in done])
    if positions.min() < 0:
        there = np.flatnonzero(positions >= 0)
        positions, found = positions[there], found[torch.from_numpy(there).to(found.device)]
    changes.index_copy_(0, torch.from_numpy(positions).to(changes.device), found)
