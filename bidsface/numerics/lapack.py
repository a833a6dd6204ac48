"""Solutions of many small positive definite systems, in threads that do not wait for each other.

SciPy's Python wrapper of LAPACK holds the interpreter's lock while LAPACK works, so that two
threads that solve small systems take longer than one. The same routine, called by the address that
SciPy gives to compiled code (`scipy.linalg.cython_lapack`), leaves the lock to other threads.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cython_lapack
from scipy.linalg.lapack import sposv

Singles = NDArray[np.float32]
Solver = Callable[[Singles, Singles], bool]

N_POINTERS = 8
"""Arguments of ``sposv``: uplo, n, nrhs, a, lda, b, ldb, info."""


def solve_in_place(systems: Singles, rows: Singles) -> None:
    """Replace ``rows`` by ``rows @ inv(systems)`` for positive definite matrices.

    By Cholesky decomposition, LAPACK's ``sposv``.

    Parameters
    ----------
    systems : ndarray of shape (s, n, n), float32
        Every matrix in C order. Overwritten.
    rows : ndarray of shape (s, m, n), float32
        Every matrix in C order. Overwritten by the result.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not positive definite.
    ValueError
        If arrays are of another type or order.
    """
    # Transposes of matrices in C order are what LAPACK works on in place.
    for stack in (systems, rows):
        if stack.dtype != np.float32 or stack is not in_c_order(stack):
            raise ValueError("systems and rows must be float32, every matrix in C order")
    if not _solver()(systems, rows):
        raise np.linalg.LinAlgError("a matrix is not positive definite")


def in_c_order(stack: Singles) -> Singles:
    """Return matrices of shape (s, m, n), each in C order; a copy where they are not."""
    return stack if stack[:1].flags.c_contiguous else np.ascontiguousarray(stack)


@cache
def _solver() -> Solver:
    """Return the solver by address, or SciPy's wrapper where its signature is another one."""
    address = _address("sposv", N_POINTERS)
    if address is None:
        return _by_wrapper
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * N_POINTERS)(address)

    def by_address(systems: Singles, rows: Singles) -> bool:
        numbers = (ctypes.c_int * 3)(systems.shape[1], rows.shape[1], 0)
        upper = ctypes.c_char(b"U")
        uplo, n = ctypes.addressof(upper), ctypes.addressof(numbers)
        n_rhs, info = n + ctypes.sizeof(ctypes.c_int), n + 2 * ctypes.sizeof(ctypes.c_int)
        system, right = systems.ctypes.data, rows.ctypes.data
        for _ in range(len(systems)):
            function(uplo, n, n_rhs, system, n, right, n, info)
            if numbers[2]:
                return False
            system, right = system + systems.strides[0], right + rows.strides[0]
        return True

    return by_address


def _address(routine: str, n_arguments: int) -> int | None:
    """Return where a LAPACK routine of pointers to `int` and numbers is; None if it is not so."""
    capsule = getattr(cython_lapack, "__pyx_capi__", {}).get(routine)
    if capsule is None:
        return None
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    signature = api.PyCapsule_GetName(capsule)
    arguments = signature.decode().partition("(")[2].rstrip(")").split(", ")
    if len(arguments) != n_arguments or arguments[1] != "int *":
        return None
    return int(api.PyCapsule_GetPointer(capsule, signature))


def _by_wrapper(systems: Singles, rows: Singles) -> bool:
    for system, right in zip(systems, rows, strict=True):
        _, found, failed = sposv(system.T, right.T, overwrite_a=True, overwrite_b=True)
        if failed:
            return False
        right[...] = found.T
    return True
