"""Occlusion of one volume: bidsface against full forward passes, on two cores.

The published emotion network, trained for a minute on small volumes with local patterns, a volume
of 80 x 80 x 35 voxels that holds patterns of two classes, and a box of 2 x 2 x 2 zeros at stride 2:
27,200 positions. Changes of all class probabilities must equal those of full forward passes at
500 random positions, corners and edges included. Full forward passes are timed at a few, at the
number of volumes in a batch and of threads that is fastest. bidsface runs in a process of its own,
so that its peak memory is its own.

    python benchmarks/occlusion_speed.py [--steps 300] [--positions 500] [--write]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import nn

from bidsface_emotion_cnn.networks import EmotionCNN3D
from bidsface_emotion_cnn.occlusion import brute_force_occlusion, occlusion_map

sys.path.insert(0, str(Path(__file__).parent))
from sections import machine, replace_section

SHAPE, BOX, STRIDE, N_CLASSES, N_CORES, SEED = (80, 80, 35), 2, 2, 5, 2, 0
CELL, PATTERN, BATCH = 16, 6, 20
"""Voxels of a side of training volumes and of patterns; training volumes in a batch."""
N_TIMED, REPEATS, LEAST_CHANGE, LEAST_RATIO = 50, 3, 0.01, 300
ALLOWED = {"float32": 1e-3, "float64": 1e-8}
"""Largest difference, in units of the largest change."""
DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


# Data and network


def make_patterns() -> np.ndarray:
    """Return a smooth local pattern for each class."""
    rng = np.random.default_rng(SEED)
    coarse = rng.standard_normal((N_CLASSES, 3, 3, 3))
    return coarse.repeat(2, axis=1).repeat(2, axis=2).repeat(2, axis=3).astype(np.float32) * 1.5


def put(volume: np.ndarray, pattern: np.ndarray, corner: Sequence[int]) -> None:
    """Add a pattern to a volume."""
    volume[tuple(slice(start, start + PATTERN) for start in corner)] += pattern


def make_volume(rng: np.random.Generator, patterns: np.ndarray) -> np.ndarray:
    """Return a volume of noise with patterns of two classes, in varying shares."""
    volume = rng.standard_normal(SHAPE, dtype=np.float32)
    share = rng.uniform(0.2, 0.8)
    for cell in product(*(range(0, n - CELL + 1, CELL) for n in SHAPE)):
        corner = np.array(cell) + rng.integers(0, CELL - PATTERN, 3)
        put(volume, patterns[int(rng.random() < share)], corner)
    return (volume - volume.mean()) / volume.std()


def train(n_steps: int) -> tuple[nn.Module, float]:
    """Return a trained network, and its accuracy on the last batches."""
    torch.manual_seed(SEED)
    rng, patterns = np.random.default_rng(SEED + 1), make_patterns()
    model = EmotionCNN3D(N_CLASSES)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=n_steps)
    right = []
    for _ in range(n_steps):
        codes = rng.integers(0, N_CLASSES, BATCH)
        volumes = rng.standard_normal((BATCH, CELL, CELL, CELL), dtype=np.float32)
        for volume, code in zip(volumes, codes, strict=True):
            put(volume, patterns[code], rng.integers(0, CELL - PATTERN, 3))
        scores = model(torch.from_numpy(volumes)[:, None])
        loss = nn.functional.cross_entropy(scores, torch.from_numpy(codes))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        right.append(float((scores.argmax(dim=1).numpy() == codes).mean()))
    return model.eval(), float(np.mean(right[-20:]))


def least_certain(model: nn.Module, n: int = 12) -> np.ndarray:
    """Return the volume, of a few, whose most probable class is least so."""
    rng, patterns = np.random.default_rng(SEED + 2), make_patterns()
    volumes = [make_volume(rng, patterns) for _ in range(n)]
    with torch.inference_mode():
        scores = torch.cat([model(torch.from_numpy(one)[None, None]) for one in volumes])
    return volumes[int(torch.softmax(scores, dim=1).amax(dim=1).argmin())]


def n_positions() -> int:
    """Return the number of positions of the box."""
    return int(np.prod(np.subtract(SHAPE, BOX) // STRIDE + 1))


def chosen_positions(n: int) -> np.ndarray:
    """Return first voxels of random boxes: corners, as many on edges and faces, and the rest."""
    counts = np.subtract(SHAPE, BOX) // STRIDE + 1
    rng = np.random.default_rng(SEED + 3)
    corners = [np.array(which) * (counts - 1) for which in product((0, 1), repeat=3)]
    places = rng.integers(0, counts, (max(n - len(corners), 0), 3))
    for row in range(len(places) // 2):
        axes = rng.permutation(3)[: 1 + row % 2]
        places[row, axes] = rng.choice([0, 1], len(axes)) * (counts - 1)[axes]
    return np.concatenate([corners, places]).astype(np.int64) * STRIDE


def save(folder: Path, model: nn.Module, volume: np.ndarray) -> None:
    """Write what the other process needs."""
    arrays = {name: value.numpy() for name, value in model.state_dict().items()}
    np.savez(folder / "network.npz", **arrays)
    np.save(folder / "volume.npy", volume)


def load(folder: Path) -> tuple[nn.Module, np.ndarray]:
    """Read it again."""
    model = EmotionCNN3D(N_CLASSES).eval()
    with np.load(folder / "network.npz") as arrays:
        model.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays.files})
    return model, np.load(folder / "volume.npy")


# Ours, in a process of its own


def measure_ours(folder: Path, dtype: str, device: str) -> dict[str, Any]:
    """Occlude all positions in this process, and keep the map."""
    torch.set_num_threads(N_CORES)
    model, volume = load(folder)
    model.to(device)
    seconds = []
    for _ in range(REPEATS):
        start = perf_counter()
        found = occlusion_map(model, volume, BOX, STRIDE, dtype=dtype, device=device)
        seconds.append(perf_counter() - start)
    np.save(folder / f"{dtype}-{device}.npy", found)
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"dtype": dtype, "device": device, "seconds": seconds, "gib": gib}


def run_ours(folder: Path, dtype: str, device: str) -> dict[str, Any]:
    """Measure in a new process."""
    command = [sys.executable, __file__, "--ours", str(folder), dtype, device]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


# Full forward passes


@dataclass(frozen=True)
class Theirs:
    """How fast full forward passes are at their best."""

    seconds: float
    batch: int
    threads: int

    @property
    def each(self) -> float:
        """Seconds per position."""
        return self.seconds / N_TIMED


def time_full(model: nn.Module, volume: np.ndarray, starts: np.ndarray) -> Theirs:
    """Time full forward passes at their best number of volumes in a batch and of threads."""
    seconds = {}
    for threads, batch in product((1, N_CORES), (1, 2, 5, 10)):
        torch.set_num_threads(threads)
        brute_force_occlusion(model, volume, starts[:batch], BOX, batch=batch)
        start = perf_counter()
        brute_force_occlusion(model, volume, starts[:10], BOX, batch=batch)
        seconds[batch, threads] = perf_counter() - start
        print(f"  {threads} threads, {batch} at once: {seconds[batch, threads]:.2f} s for 10")
    batch, threads = min(seconds, key=seconds.__getitem__)
    torch.set_num_threads(threads)
    start = perf_counter()
    brute_force_occlusion(model, volume, starts[:N_TIMED], BOX, batch=batch)
    found = Theirs(perf_counter() - start, batch, threads)
    torch.set_num_threads(N_CORES)
    return found


@dataclass(frozen=True)
class Row:
    """What was measured of one precision on one device."""

    ours: Mapping[str, Any]
    largest: float
    difference: float

    @property
    def best(self) -> float:
        """The fastest repeat, s."""
        return min(self.ours["seconds"])

    @property
    def equal(self) -> bool:
        """Whether the map equals full forward passes as nearly as it must."""
        return self.difference <= ALLOWED[self.ours["dtype"]]


def compare(folder: Path, measured: Mapping[str, Any], starts: np.ndarray, wanted: Any) -> Row:
    """Compare a map with changes by full forward passes, (n_positions, n_classes)."""
    found = np.load(folder / f"{measured['dtype']}-{measured['device']}.npy")
    largest = float(np.abs(found).max())
    x, y, z = (starts // STRIDE).T
    difference = float(np.abs(found[:, x, y, z].T - wanted).max()) / largest
    return Row(measured, largest, difference)


def measure(folder: Path, n_compared: int) -> tuple[list[Row], Theirs, int]:
    """Measure both, and return the rows, full forward passes, and how many were compared."""
    model, volume = load(folder)
    starts = chosen_positions(n_compared)
    kinds = list(product(DEVICES, ALLOWED))
    ours = [run_ours(folder, dtype, device) for device, dtype in kinds]
    for one in ours:
        print(
            f"  {one['dtype']} {one['device']}: {min(one['seconds']):.2f} s, {one['gib']:.2f} GiB"
        )
    theirs = time_full(model, volume, starts[::-1])
    print(f"  full forward passes: {theirs.each:.3f} s per position", flush=True)
    options = {"batch": theirs.batch}
    wanted = {
        dtype: brute_force_occlusion(model, volume, starts, BOX, dtype=dtype, **options)
        for dtype in ALLOWED
    }
    rows = [compare(folder, one, starts, wanted[one["dtype"]]) for one in ours]
    return rows, theirs, len(starts)


def report(rows: Sequence[Row], theirs: Theirs, n_compared: int, accuracy: float) -> str:
    """Return the section of the document."""
    shape = " x ".join(map(str, SHAPE))
    full = theirs.each * n_positions()
    lines = [
        "## Occlusion of a volume by an emotion network",
        "",
        f"A box of {BOX} x {BOX} x {BOX} zeros at stride {STRIDE} over {shape} voxels, "
        f"{n_positions():,} positions, the published network with {N_CLASSES} classes, trained on",
        f"small volumes with local patterns (accuracy {accuracy:.2f}), on {N_CORES} cores "
        f"({machine()}). `python benchmarks/occlusion_speed.py --write` measures it again.",
        "",
        "| | repeats (s) | best (s) | peak memory (GiB) | ratio | largest change of a probability "
        f"| largest difference at {n_compared} positions |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        repeats = ", ".join(f"{one:.2f}" for one in row.ours["seconds"])
        where = "" if row.ours["device"] == "cpu" else f" on {torch.cuda.get_device_name()}"
        lines.append(
            f"| bidsface, {row.ours['dtype']}{where} | {repeats} | {row.best:.2f} "
            f"| {row.ours['gib']:.2f} | {full / row.best:,.0f} | {row.largest:.3f} "
            f"| {row.difference:.1g} of the largest change |"
        )
    lines += [
        f"| full forward passes, float32, {theirs.batch} at once, `torch.set_num_threads"
        f"({theirs.threads})` | | {full:,.0f} | | | | |",
        "",
        f"Full forward passes were timed at {N_TIMED} positions ({theirs.seconds:.2f} s), at the "
        "number of volumes in a batch and of threads",
        "that is fastest, and their time is scaled to all positions; ratios compare with it. The "
        "time of bidsface is that of everything from",
        "network and volume on, its memory that of the whole process. Differences are from full "
        "forward passes of the same precision; corners,",
        "edges and faces of the volume are among the positions.",
    ]
    return "\n".join(lines)


def main() -> int:
    """Run the benchmark; it fails if maps differ, nothing changes, or the ratio is too small."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300, help="of training")
    parser.add_argument("--positions", type=int, default=500, help="that are compared")
    parser.add_argument("--ours", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:N_CORES])
    torch.set_num_threads(N_CORES)
    if arguments.ours:
        folder, dtype, device = arguments.ours
        print(json.dumps(measure_ours(Path(folder), dtype, device)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        model, accuracy = train(arguments.steps)
        print(f"  trained: accuracy {accuracy:.2f}", flush=True)
        save(Path(folder), model, least_certain(model))
        rows, theirs, n_compared = measure(Path(folder), arguments.positions)
    text = report(rows, theirs, n_compared, accuracy)
    print(text)
    largest = min(row.largest for row in rows)
    slowest = max(row.best for row in rows if row.ours["dtype"] == "float32")
    ratio = theirs.each * n_positions() / slowest
    for wrong, message in [
        (largest < LEAST_CHANGE, f"the largest change is {largest:.2g}: this proves nothing"),
        (not all(row.equal for row in rows), "maps differ from full forward passes"),
        (ratio < LEAST_RATIO, f"only {ratio:.0f} times as fast"),
    ]:
        if wrong:
            print(message, file=sys.stderr)
            return 1
    if arguments.write:
        document = Path(__file__).parents[1] / "docs" / "performance.md"
        replace_section(document, "occlusion_speed", text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
