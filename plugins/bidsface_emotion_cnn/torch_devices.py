"""Where networks compute, and how exactly."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache

import torch
from torch import nn

from bidsface.errors import InputError
from bidsface.numerics.devices import find_device

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's ``mallopt`` (``malloc.h``), bytes."""


def torch_device(name: str) -> torch.device:
    """Return torch's device for ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.

    Raises
    ------
    InputError
        If there is no such device.
    """
    try:
        return torch.device(find_device(name).name)
    except ValueError as error:
        raise InputError(str(error)) from error


def one_thread() -> None:
    """Let torch use one thread in the calling thread.

    The last bits of sums depend on how many threads make them, and how many torch takes in a thread
    of its host depends on where that thread comes from. Folds and volumes go side by side instead.
    """
    torch.set_num_threads(1)


@cache
def keep_memory() -> bool:
    """Keep memory that networks give back for their next operation; tell whether that works.

    glibc returns large blocks to the system at once, and every operation of a training step asks
    for such blocks anew: of the time of training, up to a quarter goes into clearing pages.
    """
    adjust = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if adjust is None:  # no glibc
        return False
    return all([adjust(M_MMAP_THRESHOLD, 1 << 30), adjust(M_TRIM_THRESHOLD, (1 << 31) - 1)])


def exact_arithmetic(device: torch.device) -> AbstractContextManager[None]:
    """Compute convolutions on a GPU in full single precision, by algorithms that repeat.

    The settings are those of the whole process: on a GPU do one thing at a time.
    """
    if device.type != "cuda":
        return nullcontext()
    return torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )


@contextmanager
def applied(model: nn.Module, device: str) -> Iterator[torch.device]:
    """Bring a network to a device and into evaluation mode, and back afterwards.

    Parameters
    ----------
    model : torch.nn.Module
    device : str
        As for `torch_device`.
    """
    target = torch_device(device)
    origin, training = next(model.parameters()).device, model.training
    model.to(target).eval()
    try:
        with exact_arithmetic(target):
            yield target
    finally:
        model.to(origin).train(training)
