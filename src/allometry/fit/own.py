"""A law by name, by file, or as a user's own class or plain function `f(x, a, b)`.

A function's first argument is the variable, unless arguments are named as columns; the rest are parameters. A default value is
where the search begins. Parameters that the function is linear in are found by calling it, and solved for directly.
"""

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Inexact

from allometry.find import member
from allometry.fit.laws._law import Law, Parameter
from allometry.flow import Refusal, in_words

LAWS = "allometry.fit.laws"
VARIABLES = ("N", "D", "C", "M", "U", "width", "depth")
PROBE = np.geomspace(0.5, 20.0, 7)  # places at which a function is asked whether it is linear


def law_of(law: Any, columns: Iterable[str] = ()) -> Law:
    """`"power_floor"`, `"broken_power(breaks=2)"`, `"path.py:MyLaw"`, a Law, its class, or a function.

    `columns` are names that arguments of a function may have to be variables.
    """
    found = law
    if isinstance(law, str):
        name, settings = _settings(law)
        found = member(LAWS, name)
        if settings and isinstance(found, type) and issubclass(found, Law):
            return _made(found, settings)
    if isinstance(found, Law):
        return found
    if isinstance(found, type) and issubclass(found, Law):
        return found()
    if callable(found):
        return of_function(found, columns, name=law if isinstance(law, str) else "")
    raise Refusal(f"law={law!r} is no law. Give a name, a Law, or a function f(x, a, b).")


def _settings(text: str) -> tuple[str, dict[str, Any]]:
    match = re.fullmatch(r"([^()]+)\((.*)\)", text.strip(), flags=re.DOTALL)
    if not match:
        return text, {}
    try:
        call = ast.parse(f"f({match[2]})", mode="eval").body
        assert isinstance(call, ast.Call)
        return match[1], {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
    except (SyntaxError, ValueError) as error:
        raise Refusal(f"law={text!r} cannot be read. Write a name, or name(setting=value).") from error


def _made(kind: type[Law], settings: dict[str, Any]) -> Law:
    try:
        return kind(**settings)
    except (TypeError, ValueError) as error:
        raise Refusal(f"{kind.__name__}: {error}") from error


def of_function(function: Callable[..., Any], columns: Iterable[str] = (), name: str = "") -> Law:
    """A Law around a plain function of numpy arrays."""
    arguments = list(inspect.signature(function).parameters.values())
    known = {*VARIABLES, *columns}
    variables = tuple(argument.name for argument in arguments if argument.name in known) or (arguments[0].name,)
    parameters = tuple(_parameter(argument) for argument in arguments if argument.name not in variables)
    if not parameters:
        raise Refusal(f"{function.__name__}{inspect.signature(function)} has no parameters to fit. Write f(x, a, b).")
    title = name or function.__name__

    def predict(
        self: Law,
        at: Mapping[str, float | Inexact[np.ndarray, "..."]],
        places: Mapping[str, float | Float[np.ndarray, "..."]],
    ) -> Inexact[np.ndarray, "..."]:
        return np.asarray(function(**{key: places[key] for key in variables}, **{p.name: at[p.name] for p in parameters}))

    equation = f"L = {function.__name__}({', '.join((*variables, *(p.name for p in parameters)))})"
    content = {"predict": predict, "parameters": parameters, "variables": variables, "equation": equation}
    kind = type(function.__name__, (Law,), {**content, "__module__": __name__})
    kind._named = title
    try:
        kind.coefficients = _linear(kind(), variables)
    except Exception as error:  # whatever a user's own function may raise
        raise Refusal(f"The law {title} cannot be called: {in_words(error)}. It takes numpy arrays and numbers.") from error
    return kind()


def _parameter(argument: inspect.Parameter) -> Parameter:
    start: Any = () if argument.default is inspect.Parameter.empty else argument.default
    values = tuple(float(value) for value in (start if isinstance(start, tuple | list) else (start,)))
    return Parameter(name=argument.name, unit="", low=None, start=values or (-1.0, -0.3, -0.1, 0.1, 0.3, 1.0, 3.0))


def _linear(law: Law, variables: tuple[str, ...]) -> tuple[str, ...]:
    """Parameters in which the law is linear together: its value is then the sum over them of parameter x its share."""
    generator = np.random.default_rng(0)
    columns = {name: PROBE * generator.uniform(1, 2) for name in variables}

    def call(at: Mapping[str, float]) -> Float[np.ndarray, " places"]:
        with np.errstate(all="ignore"):
            return np.broadcast_to(np.asarray(law.predict(at, columns), dtype=float), PROBE.shape)

    chosen: list[str] = []
    for name in law.names:
        trial = [*chosen, name]
        agree = []
        for _ in range(3):
            at = {key: float(generator.uniform(0.3, 0.9)) for key in law.names}
            none = call({**at, **dict.fromkeys(trial, 0.0)})
            parts = [call({**at, **dict.fromkeys(trial, 0.0), key: 1.0}) - none for key in trial]
            whole = none + sum((at[key] * part for key, part in zip(trial, parts, strict=True)), np.zeros(PROBE.shape))
            agree.append(bool(np.allclose(call(at), whole, rtol=1e-9, atol=1e-12)))
        if all(agree):
            chosen = trial
    return tuple(chosen)
