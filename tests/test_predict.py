"""Guesses are kept, compared in one line, and never stop anything."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.predict import predict, reveal


@pytest.fixture
def line(capsys: pytest.CaptureFixture[str]) -> Any:
    """What `predict` and then `reveal` printed, a line each."""

    def run(guess: Any, measured: Any, unit: str = "") -> list[str]:
        predict("what it is", guess, unit=unit)
        reveal("What it  is", measured)
        return capsys.readouterr().out.splitlines()

    return run


@pytest.mark.parametrize(
    ("guess", "measured", "verdict"),
    [
        (131_072, 16_384, "8 times too high"),
        (1, 2, "2 times too low"),
        (2, 2.0, "exactly right"),
        (1.02, 1, "within 5 %"),
        (0, 5, "zero or of the other sign"),
        (-1, 5, "zero or of the other sign"),
        ("false", False, "right."),
        ("an exception", "False", "not quite"),
        (float("nan"), 2, "not quite"),
        ([1], 2, "not quite"),
    ],
)
def test_the_verdict_fits_the_guess(line: Any, guess: Any, measured: Any, verdict: str) -> None:
    first, second = line(guess, measured)
    assert "you say" in first and verdict in second


def test_both_values_are_shown_with_their_unit(line: Any) -> None:
    _, second = line(131_072, 16_384, unit="bytes")
    assert "16,384 bytes" in second and "131,072 bytes" in second


def test_no_guess_blocks_nothing(line: Any, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = line(None, 7)
    assert "nothing depends on it" in first and "7." in second and "no guess" in second
    reveal("never asked", 3.25, unit="ms")
    assert "never asked: 3.25 ms. (You made no guess.)" in capsys.readouterr().out


def test_a_second_guess_replaces_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    predict("twice", 1)
    predict("twice", 5)
    reveal("twice", 5)
    assert "exactly right" in capsys.readouterr().out
