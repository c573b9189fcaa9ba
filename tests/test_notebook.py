"""What notebooks show: numbers in tables, captions with their label, figures with words."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from helpers import notebook


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    """What was displayed, with the metadata."""
    import IPython.display

    found: list[tuple[Any, dict[str, Any]]] = []
    monkeypatch.setattr(IPython.display, "display", lambda what, **options: found.append((what, options)))
    return found


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234567, "1,234,567"),
        (np.int64(12), "12"),
        (1234.5, "1,234"),
        (12.3456, "12.35"),
        (0.00123456, "0.001235"),
        (0.000123456, "1.2e-04"),
        (np.float32(0.5), "0.5"),
        (0.0, "0"),
        (float("nan"), ""),
        (-2500.0, "-2,500"),
        (True, True),
        ("as it is", "as it is"),
        (None, None),
    ],
)
def test_numbers_are_written_with_as_many_digits_as_one_reads(value: Any, text: Any) -> None:
    assert notebook.cell(value) == text


def test_a_table_keeps_words_to_the_left_and_shows_no_index(shown: list[Any]) -> None:
    notebook.show([("a", 1, 0.25), ("b", 20_000, float("nan"))], ["name", "count", "share"])
    html = shown[0][0].to_html()
    assert "20,000" in html and "0.25" in html and "nan" not in html
    assert "text-align: left" in html and "row_heading" not in html
    notebook.show([("<|endoftext|>", "a & b")], ["token", "text"])
    assert "&lt;|endoftext|&gt;" in shown[1][0].to_html() and "a &amp; b" in shown[1][0].to_html()


def test_a_caption_names_cell_and_label(shown: list[Any]) -> None:
    notebook.caption("record", notebook.EXACT, "what the device did.")
    assert shown[0][0].data == "**[record]** *exact here*: what the device did."


def test_a_figure_is_shown_once_with_its_words(shown: list[Any]) -> None:
    import matplotlib.pyplot as plt

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure, _ = plt.subplots()
        notebook.draw(figure, "An empty figure.")
    assert shown == [(figure, {"metadata": {"image/png": {"alt": "An empty figure."}}})]
    assert not plt.fignum_exists(figure.number)


def test_bytes_in_words() -> None:
    assert notebook.mib(3 * 2**19) == "1.50 MiB" and notebook.mib(2**31) == "2,048.00 MiB"
