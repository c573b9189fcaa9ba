"""How the course's notebooks show things: captions with a label, tables, figures with a text for those who cannot see.

Every figure of the course carries one of four labels, so that nobody takes a CPU's time for a GPU's.
"""

from __future__ import annotations

from typing import Any

EXACT = "exact here"
TIMED = "this machine's time"
CALCULATED = "calculated"
RECORDED = "recorded on a GPU"


def caption(cell: str, label: str, text: str) -> None:
    """Say what the next table or picture is, which kind of figures it shows, and which cell made it."""
    from IPython.display import Markdown, display

    display(Markdown(f"**[{cell}]** *{label}*: {text}"))


def show(rows: Any, columns: Any = None) -> None:
    """Show a table: large numbers without decimals, small ones with three digits, nothing for what is missing.

    Args:
        rows: anything that `pandas.DataFrame` takes.
        columns: its column names.
    """
    import pandas as pd
    from IPython.display import display

    frame = pd.DataFrame(rows, columns=columns)
    words = [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name])]
    left = {name: [{"selector": "td, th", "props": "text-align: left"}] for name in words}
    display(frame.style.format(cell, escape="html").set_table_styles(left).hide(axis="index"))


def cell(value: Any) -> Any:
    """The text of one value in a table; what is no number stays as it is."""
    import numpy as np

    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return f"{value:,}"
    if not isinstance(value, float | np.floating):
        return value
    if np.isnan(value) or not value:
        return "" if value else "0"
    number = float(value)
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.4g}" if abs(number) >= 1e-3 else f"{number:.1e}"


def draw(figure: Any, alt: str) -> None:
    """Show a matplotlib figure; `alt` says in a sentence what it shows and stays with the image."""
    import matplotlib.pyplot as plt
    from IPython.display import display

    display(figure, metadata={"image/png": {"alt": alt}})
    plt.close(figure)  # or the notebook shows it a second time


def mib(nbytes: float) -> str:
    """Bytes in words: "1.50 MiB"."""
    return f"{nbytes / 2**20:,.2f} MiB"
