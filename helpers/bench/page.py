"""`python -m helpers bench --tables`: docs/results.md and its pictures, made from the committed results.

The GPU's tables come from `assets/recorded/` (made from `assets/results/` by `bench --all --record`), the CPU's from
`assets/results/<machine>/decode_full.json` where `bench decode --save` has written it. Nothing is measured here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.bench.decode.tables import RATIO_TITLE, TAKES_OFF, THEIRS, original, sentences, tables
from helpers.files import replacing

if TYPE_CHECKING:
    from helpers.plots import Plot

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "results.md"
IMAGES = "images"  # beside the page
GPU, CPU = "nvidia-h200", "cpu-linux-x86-64"
_DPI = 75
_WHOLE = "Whole generations, FP32"
_STEPS = "One step over its length"
_BATCH = "8"  # of the plotted steps: at batch 1 an H200 waits for launches

_INTRO = """\
# Results

Made by `python -m helpers bench --tables` from the JSON under `assets/`; edit that command, not this page. What each
machine had, and what nobody has run yet, is in [hardware.md](hardware.md).

How to read it: a time belongs to the machine and to the engine that its table names, and only ratios within one table
carry over. *End to end* is from arrays in host memory to results in host memory, copies and synchronisation included.
*Takes off, %* is always the share of the baseline's time that a change saves; below 0 it costs time. *O1* is
preallocation together with a copy of the last step's logits alone, row by row; the same with one `Memcpy2D` has a
column of its own. Columns that begin with "{theirs}" were published by the original project and not measured here.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page and its pictures; 0."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="python -m helpers bench --tables",
        description="Write docs/results.md and its pictures from the committed results; nothing is measured.",
    )
    parser.add_argument("--tables", action="store_true", help=argparse.SUPPRESS)
    parser.parse_args(arguments)
    for path in write():
        print(f"Written: {path}")
    return 0


def write(page: Path = PAGE) -> list[Path]:
    """Write the page and, beside it, the pictures; the files written."""
    text, plots = compose()
    with replacing(page) as part:
        part.write_text(text, encoding="utf-8")
    written = [page]
    for name, plot in plots.items():
        target = page.parent / IMAGES / name
        with replacing(target) as part:
            part.write_bytes(plot.png(dpi=_DPI))
        written.append(target)
    return written


def compose(assets: Path = ROOT / "assets") -> tuple[str, dict[str, Plot]]:
    """The page as Markdown, and its pictures by file name.

    Args:
        assets: the folder with `recorded/` and `results/`.
    """
    recorded, results = assets / "recorded", assets / "results"
    plots: dict[str, Plot] = {}
    parts = [_INTRO.format(theirs=THEIRS)]
    decoder = _load(recorded / "distilgpt2_gpus.json")
    parts += _decoder(decoder, _load(results / GPU / "decode.json"), plots)
    parts += _classifier(_load(recorded / "distilbert_gpus.json"))
    cpu = results / CPU / "decode_full.json"
    if cpu.is_file():
        parts += _cpu(_load(cpu), plots)
    return "\n".join(parts), plots


def _load(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


# --- exercise 2 on a GPU ----------------------------------------------------------------------------------------------


def _decoder(recorded: Mapping[str, Any], decode: Mapping[str, Any], plots: dict[str, Plot]) -> Iterator[str]:
    from helpers import decode_plots

    first = recorded["runs"][0]
    yield f"## Exercise 2: DistilGPT2, {first['gpu']}\n"
    yield f"- Weights: {recorded['weights']}."
    yield f"- Measured: {recorded['boundaries']}."
    yield f"- Caution: {recorded['caution']}."
    yield f"- Software: {first['software']}. {first['date']}.\n"
    for run in recorded["runs"]:
        yield f"### {run['title']}\n"
        yield f"{run['gpu']}; {run['engine']}. `{run['command']}`\n"
        columns, rows = run["columns"], run["rows"]
        if run["title"].startswith(_WHOLE):
            columns, rows = _with_theirs(columns, rows)
        yield _table(columns, rows)
        if run["title"].startswith(_STEPS):
            yield from _steps(run, plots)
            continue
        yield f"{run['note']}\n"
        if run["title"].startswith(_WHOLE):
            plot = decode_plots.decode_bars(
                decode_plots.measured(decode),
                ran_on=f"{run['gpu']}: {run['engine']}",
                theirs=decode_plots.published(original()),
            )
            yield _picture("results-decode-gpu.png", plot, plots)
        elif run["title"].startswith("Timeline"):
            drawn = f"../assets/results/{GPU}/timeline.png"
            yield f"![The device's lane of one generation before and after O1, by kind of work]({drawn})\n"
    yield f"Not yet run by anybody: {'; '.join(recorded['not_yet_run'])}.\n"


def _with_theirs(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> tuple[list[str], list[list[Any]]]:
    """The six rows with the published figures of the same batch and length behind them."""
    titles = {
        "pytorch_ms": f"{THEIRS}: PyTorch",
        "onnx_ms": f"{THEIRS}: ONNX",
        "tensorrt_ms": f"{THEIRS}: TensorRT",
        "o1_ms": f"{THEIRS}: O1",
        "o1_drop_percent": f"{THEIRS}: O1 {TAKES_OFF}",
    }
    theirs = {(row["batch"], row["length"]): row for row in original()["rows"]}
    batch, length = columns.index("batch"), columns.index("L")
    return [*columns, *titles.values()], [
        [*row, *(theirs.get((row[batch], row[length]), {}).get(key) for key in titles)] for row in rows
    ]


def _steps(run: Mapping[str, Any], plots: dict[str, Plot]) -> Iterator[str]:
    from helpers import plots as draw
    from helpers.benchmark import fit_steps

    yield "Fits of a + b L + c L², each point weighted by the inverse of its time:\n"
    fits = {}
    for batch in dict.fromkeys(row[0] for row in run["rows"]):
        rows = [row for row in run["rows"] if row[0] == batch]
        for at, column in enumerate(run["columns"][2:], start=2):
            name = column.removesuffix(", ms")
            fit = fit_steps([row[1] for row in rows], [row[at] for row in rows])
            yield f"- batch {batch}, {name}: {fit.sentence}"
            if str(batch) == _BATCH:
                fits[name] = fit
    yield ""
    title = f"{_STEPS}, batch {_BATCH}, {run['gpu']}"
    yield _picture("results-steps-gpu.png", draw.steps_fit(fits, title=title), plots)


# --- exercise 1 on GPUs -----------------------------------------------------------------------------------------------


def _classifier(recorded: Mapping[str, Any]) -> Iterator[str]:
    yield "## Exercise 1: DistilBERT on GPUs, samples per second\n"
    yield f"- Weights: {recorded['weights']}."
    yield f"- Caution: {recorded['caution']}.\n"
    for run in recorded["runs"]:
        yield f"### {run['gpu']}, {run['tokens']} tokens\n"
        command = (
            f" `{run['command']}`" if run.get("command") else " Measured beforehand, by no command of this course."
        )
        yield f"{run['software']}. {run['date']}.{command}\n"
        yield f"On the device ({recorded['boundaries']}):\n"
        yield _speeds(run["rows"])
        if run.get("host_to_host"):
            yield "End to end, from host memory to host memory, and kernel-only:\n"
            yield _speeds(run["host_to_host"])
        if run.get("note"):
            yield f"{run['note']}\n"


def _speeds(rows: Sequence[Mapping[str, Any]]) -> str:
    batches = sorted({int(batch) for row in rows for batch in row["samples_per_second"]})
    extra = [key for key in ("kind", "max_abs_diff") if any(key in row for row in rows)]
    names = {"kind": "kind", "max_abs_diff": "max abs. diff. of logits from FP32"}
    lines = []
    for row in rows:
        line = [row["engine"], *(row["samples_per_second"].get(str(batch)) for batch in batches)]
        for key in extra:
            line.append(row.get(key))
        lines.append(line)
    return _table(["engine", *(f"batch {batch}" for batch in batches), *(names[key] for key in extra)], lines)


# --- exercise 2 on a CPU ----------------------------------------------------------------------------------------------


def _cpu(content: Mapping[str, Any], plots: dict[str, Plot]) -> Iterator[str]:
    from helpers import decode_plots

    yield f"## Exercise 2 on a CPU: {content['model']}\n"
    ran = f"{content['machine']}, {content['runs']}"
    yield f"`{content['command']}`, {content['cores']} cores, {content['torch_threads']} threads of PyTorch. {ran}.\n"
    found = tables(content)
    for title in sorted(found, key=lambda title: title != RATIO_TITLE):  # the ratios first
        frame = found[title]
        if "path" in frame.columns and "p95" in frame.columns:
            continue  # every path with its percentiles: for the JSON
        yield f"### {title}\n"
        rows = [[None if value != value else value for value in row] for row in frame.itertuples(index=False)]
        yield _table(list(frame.columns), rows)
    yield from (f"- {line}" for line in sentences(content))
    yield ""
    bars = decode_plots.decode_bars(decode_plots.measured(content), ran_on=ran)
    yield _picture("results-decode-cpu.png", bars, plots)


# --- Markdown ---------------------------------------------------------------------------------------------------------


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Numbers to the right, those of a column with as many decimals each."""
    texts, rule = [], []
    for values in zip(*rows, strict=True):
        number = all(isinstance(value, int | float) or value is None for value in values)
        texts.append(_numbers(values) if number else [_cell(value) for value in values])
        rule.append("---:" if number else "---")
    lines = [[_cell(name) for name in columns], rule, *zip(*texts, strict=True)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _numbers(values: Sequence[float | None]) -> list[str]:
    known = [value for value in values if value is not None]
    if any(0 < abs(value) < 0.001 for value in known):
        return ["-" if value is None else f"{value:.1e}" for value in values]
    if all(isinstance(value, int) for value in known):
        most = 0
    else:
        largest = max(map(abs, known))
        most = 2 if largest >= 10 else 3 if largest > 1.01 else 4
    places = max((len(f"{value:.{most}f}".rstrip("0").partition(".")[2]) for value in known), default=0)
    return ["-" if value is None else f"{value:,.{places}f}" for value in values]


def _cell(value: Any) -> str:
    return "-" if value is None else str(value).replace("|", "\\|")


def _picture(name: str, plot: Plot, plots: dict[str, Plot]) -> str:
    plots[name] = plot
    return f"![{plot.alt.replace('[', '(').replace(']', ')')}]({IMAGES}/{name})\n"
