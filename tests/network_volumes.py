"""Small volumes whose classes differ in the direction of a wave, and networks that differ."""

import numpy as np

from bidsface_emotion_cnn.volume_set import VolumeSet

CLASSES = ("fear", "love", "pride")


def wave_volumes(
    n_per_class=12, shape=(8, 8, 8), strength=1.0, n_participants=3, seed=0, n_classes=3
):
    """Return volumes of noise plus a wave along the axis that is the number of the class."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(n_classes), n_per_class)
    data = rng.standard_normal((len(codes), *shape))
    grids = np.meshgrid(*(np.arange(size) for size in shape), indexing="ij")
    for volume, code in zip(data, codes, strict=True):
        volume += strength * np.sqrt(2) * np.cos(2 * np.pi * (grids[code] / 4 + rng.random()))
    data -= data.mean(axis=(1, 2, 3), keepdims=True)
    data /= data.std(axis=(1, 2, 3), keepdims=True)
    places = np.arange(len(codes))
    return VolumeSet(
        data=data.astype(np.float32),
        codes=codes,
        participants=places % n_participants,
        runs=places % 2,
        times=2.0 * places,
        classes=CLASSES[:n_classes],
        participant_labels=tuple(f"{place + 1:02d}" for place in range(n_participants)),
        run_labels=("1", "2"),
    )


def thirds(volumes, seed=0):
    """Return training, validation and test volumes: half, a quarter and a quarter of each class."""
    rng = np.random.default_rng(seed)
    parts = [[], [], []]
    for code in range(len(volumes.classes)):
        own = rng.permutation(np.flatnonzero(volumes.codes == code))
        edges = [len(own) // 2, 3 * len(own) // 4]
        for part, rows in zip(parts, np.split(own, edges), strict=True):
            part.extend(rows)
    return [np.sort(np.array(part)) for part in parts]


def randomized(model, seed=0):
    """Give a network weights and running statistics far from the first ones, which hardly differ.

    An untrained network answers every volume alike.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 2, generator=generator)
            elif value.ndim == 1:
                value.normal_(float(name.endswith("weight")), 0.3, generator=generator)
            elif value.ndim:
                value.normal_(0, 2 / value[0].numel() ** 0.5, generator=generator)
    return model.eval()
