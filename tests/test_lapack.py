from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from bidsface.numerics import lapack

RNG = np.random.default_rng(5)


def systems_and_rows(n_systems=7, n=20, m=3):
    roots = RNG.standard_normal((n_systems, n, 2 * n)).astype(np.float32)
    systems = roots @ roots.transpose(0, 2, 1) + np.eye(n, dtype=np.float32)
    return systems, RNG.standard_normal((n_systems, m, n)).astype(np.float32)


def expected(systems, rows):
    return rows.astype(float) @ np.linalg.inv(systems.astype(float))


def test_solutions_equal_those_of_the_inverse_in_place():
    systems, rows = systems_and_rows()
    wanted = expected(systems, rows)
    lapack.solve_in_place(systems, rows)
    np.testing.assert_allclose(rows, wanted, atol=2e-5 * np.abs(wanted).max())


def test_parts_of_larger_arrays_are_solved_where_they_are():
    systems, rows = systems_and_rows()
    together = np.concatenate((systems, rows), axis=1)
    wanted = expected(systems, rows)
    lapack.solve_in_place(together[:, :20], together[:, 20:])
    np.testing.assert_allclose(together[:, 20:], wanted, atol=2e-5 * np.abs(wanted).max())


def test_the_wrapper_gives_the_same_where_scipy_has_no_address(monkeypatch):
    assert lapack._address("sposv", lapack.N_POINTERS) is not None
    assert lapack._address("sposv", 3) is None
    assert lapack._address("no such routine", 8) is None
    systems, rows = systems_and_rows()
    by_address, by_wrapper = rows.copy(), rows.copy()
    lapack.solve_in_place(systems.copy(), by_address)
    monkeypatch.setattr(lapack, "_solver", lambda: lapack._by_wrapper)
    lapack.solve_in_place(systems.copy(), by_wrapper)
    np.testing.assert_array_equal(by_wrapper, by_address)
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        lapack.solve_in_place(-systems, rows)


def test_threads_give_the_same_bits():
    work = [systems_and_rows(50) for _ in range(8)]
    copies = [(systems.copy(), rows.copy()) for systems, rows in work]
    for systems, rows in work:
        lapack.solve_in_place(systems, rows)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: lapack.solve_in_place(*one), copies))
    for (_, alone), (_, beside) in zip(work, copies, strict=True):
        np.testing.assert_array_equal(beside, alone)


def test_bad_input_is_refused():
    systems, rows = systems_and_rows()
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        lapack.solve_in_place(-systems, rows)
    with pytest.raises(ValueError, match="float32"):
        lapack.solve_in_place(systems.astype(float), rows)
    with pytest.raises(ValueError, match="C order"):
        lapack.solve_in_place(systems, rows.transpose(0, 2, 1))
