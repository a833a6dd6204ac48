"""Formulas of action units, such as ``AU04 + max(AU06, AU07)``: parsed, never run as code."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bidsface.errors import RecipeError
from bidsface_facs.unit_names import UnitName, parse_unit

Floats = NDArray[np.float64]

LONGEST = 500
MOST_PARTS = 200
"""Parts of a parsed formula; a person writes fewer, and deep nesting would exhaust the stack."""

OPERATORS: Mapping[type[ast.operator], Callable[[Floats, Floats], Floats]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
}


def _mean(values: Sequence[Floats]) -> Floats:
    return np.asarray(sum(values[1:], values[0]) / len(values))


FUNCTIONS: Mapping[str, Callable[[Sequence[Floats]], Floats]] = {
    "max": np.maximum.reduce,
    "min": np.minimum.reduce,
    "mean": _mean,
}
ALLOWED = "numbers, action units (AU04, AU43_c), + - * /, parentheses, max(), min() and mean()"


@dataclass(frozen=True)
class Formula:
    """A formula that was found to be sound.

    Attributes
    ----------
    text : str
    units : mapping of str to UnitName
        What its names mean.
    """

    text: str
    units: Mapping[str, UnitName]

    def evaluate(self, value: Callable[[UnitName], Floats]) -> Floats:
        """Return the formula's value in every row; NaN where it has none, as in a division by 0.

        Parameters
        ----------
        value : callable
            ``value(unit)`` returns a unit's values, (n_rows,), NaN where unknown.

        Returns
        -------
        ndarray of shape (n_rows,)
        """
        values = {name: value(unit) for name, unit in self.units.items()}
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            found = _evaluate(ast.parse(self.text, mode="eval").body, values)
        return np.where(np.isfinite(found), found, np.nan)


def parse_formula(text: str) -> Formula:
    """Check a formula, without evaluating any of it.

    Parameters
    ----------
    text : str
        Numbers, names of action units (``AU04`` or ``AU4``, the intensity; ``AU43_c``, whether it
        is present; ``AU06_07``, the stronger of the two), ``+ - * /``, parentheses, and ``max``,
        ``min`` and ``mean`` of one or more values.

    Raises
    ------
    RecipeError
        If there is anything else in it, or no action unit.
    """
    text = text.strip()
    if len(text) > LONGEST:
        raise RecipeError(f"formula: at most {LONGEST} characters are allowed, found {len(text)}")
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise RecipeError(f"formula {text!r} is no arithmetic; allowed are {ALLOWED}") from error
    parts = list(ast.walk(tree.body))
    if len(parts) > MOST_PARTS:
        raise RecipeError(f"formula {text[:40]!r}...: too long or too deeply nested")
    called = {id(part.func) for part in parts if isinstance(part, ast.Call)}
    units: dict[str, UnitName] = {}
    for part in parts:
        if isinstance(part, ast.Name) and id(part) not in called:
            units[part.id] = _unit(part.id, text)
        elif not _is_allowed(part):
            found = ast.get_source_segment(text, part) or type(part).__name__
            raise RecipeError(f"formula {text!r}: {found!r} is not allowed; allowed are {ALLOWED}")
    if not units:
        raise RecipeError(f"formula {text!r} names no action unit; allowed are {ALLOWED}")
    return Formula(text, units)


def _unit(name: str, text: str) -> UnitName:
    try:
        unit = parse_unit(name)
    except ValueError:
        unit = None
    if unit is None or unit.kind == "frequency":
        raise RecipeError(f"formula {text!r}: {name!r} is no action unit; allowed are {ALLOWED}")
    return unit


def _is_allowed(part: ast.AST) -> bool:
    """Tell whether a part may occur, whatever its own parts are."""
    if isinstance(part, ast.Constant):
        return _is_finite_number(part.value)
    if isinstance(part, ast.Call):
        named = isinstance(part.func, ast.Name) and part.func.id in FUNCTIONS
        return named and bool(part.args) and not part.keywords
    if isinstance(part, ast.BinOp):
        return type(part.op) in OPERATORS
    if isinstance(part, ast.UnaryOp):
        return isinstance(part.op, ast.USub)
    return isinstance(part, ast.Name | ast.Load | ast.USub | ast.operator)


def _is_finite_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _evaluate(part: ast.expr, values: Mapping[str, Floats]) -> Floats:
    if isinstance(part, ast.BinOp):
        left, right = _evaluate(part.left, values), _evaluate(part.right, values)
        return OPERATORS[type(part.op)](left, right)
    if isinstance(part, ast.UnaryOp):
        return -_evaluate(part.operand, values)
    if isinstance(part, ast.Call) and isinstance(part.func, ast.Name):
        arguments = [_evaluate(argument, values) for argument in part.args]
        return FUNCTIONS[part.func.id](np.broadcast_arrays(*arguments))
    if isinstance(part, ast.Name):
        return values[part.id]
    if isinstance(part, ast.Constant) and isinstance(part.value, int | float):
        return np.asarray(part.value, dtype=np.float64)
    raise TypeError(f"parse_formula let {ast.dump(part)} pass")
