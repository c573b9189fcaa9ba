"""Predict, then reveal: a guess is kept until the measured value is known, and the two are set side by side in a line.

Nothing here is graded and nothing blocks: a guess may be left out (`None`), and a value may be revealed for which
nobody guessed.
"""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Any

__all__ = ["Prediction", "predict", "reveal"]


@dataclass(frozen=True)
class Prediction:
    """A guess: a number, some words, or None for "no guess", and the unit that it is meant in."""

    what: str
    guess: Any
    unit: str = ""


_predictions: dict[str, Prediction] = {}


def predict(what: str, guess: Any = None, unit: str = "") -> None:
    """Remember a guess about `what`; a later call for the same `what` replaces it.

    Args:
        what: what is guessed; `reveal` is called with the same words.
        guess: a number, a text, or None.
        unit: shown behind numbers, such as "bytes" or "times".
    """
    prediction = Prediction(str(what), guess, str(unit))
    _predictions[_key(what)] = prediction
    if guess is None:
        print(f"{what}: no guess yet. Put a number or a word in place of None, or go on: nothing depends on it.")
    else:
        print(f"{what}: you say {_shown(guess, prediction.unit)}. We will see.")


def reveal(what: str, measured: Any, unit: str | None = None) -> None:
    """Print one line that compares the measured value with the guess.

    Args:
        what: the words that `predict` was called with.
        measured: the value as it was measured: a number or a text.
        unit: overrides the unit of the prediction.
    """
    prediction = _predictions.get(_key(what))
    unit = unit if unit is not None else prediction.unit if prediction else ""
    line = f"{what}: {_shown(measured, unit)}."
    if prediction is None or prediction.guess is None:
        line += " (You made no guess.)"
    else:
        line += f" You said {_shown(prediction.guess, prediction.unit)}: {_verdict(prediction.guess, measured)}"
    print(line)


def _key(what: str) -> str:
    return " ".join(str(what).split()).casefold()


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _shown(value: Any, unit: str) -> str:
    number = _number(value)
    if number is None:
        return str(value)
    text = f"{number:,.0f}" if number == int(number) else f"{number:,.3g}"
    return f"{text} {unit}".rstrip()


def _verdict(guess: Any, measured: Any) -> str:
    a, b = _number(guess), _number(measured)
    if a is None or b is None:
        same = " ".join(str(guess).split()).casefold() == " ".join(str(measured).split()).casefold()
        return "right." if same else "not quite; read on for why."
    if a == b:
        return "exactly right."
    if b == 0 or a == 0 or (a < 0) != (b < 0):
        return "off: one of the two is zero or of the other sign."
    ratio = a / b
    if abs(ratio - 1) <= 0.05:
        return "within 5 %."
    return f"{ratio:.3g} times too high." if ratio > 1 else f"{1 / ratio:.3g} times too low."
