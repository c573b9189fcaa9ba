"""What ONNX Runtime did with a graph: which provider got which node, where it copies, and what it says of the reasons.

Three sources, in this order of trust:

1. its API. A session that was made with `session.record_ep_graph_assignment_info` says which execution provider every
   node went to; the optimised graph, which a session writes on request, holds the Memcpy nodes that were put in;
2. its profile, which says the same of a run, with times. Versions without the API have this one;
3. its log. Only here stand reasons. Texts change from version to version, so nothing is counted from them that the
   other two can say.

`inspect` asks all three in a process of its own, because the log is one for the whole process. `recorded` reads what
`python -m helpers.ort record` wrote on a machine with a GPU.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
RECORDED = ROOT / "assets" / "recorded" / "ort_gpu"
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
TO_DEVICE, TO_HOST = "host to device", "device to host"
NO_REASON = "the log gives no reason"

# A graph of three operators, one of which (Atan) has no CUDA kernel: the shortest path over the bus and back.
PLANTED = """
<ir_version: 10, opset_import: ["" : 20]>
planted (float[batch, 4] x) => (float[batch, 4] y) {
    two = Constant <value_float = 2.0> ()
    half = Constant <value_float = 0.5> ()
    [double] doubled = Mul (x, two)
    [atan] angle = Atan (doubled)
    [halve] y = Mul (angle, half)
}
"""


class EvidenceError(RuntimeError):
    """ONNX Runtime could not be asked: what was wrong, what was expected and what to do."""


@dataclass(frozen=True)
class Placement:
    """One node of the graph, and the execution provider that it was given to.

    Names are those at the time of the assignment: later optimisations fuse nodes of one provider.
    """

    node: str
    op: str
    provider: str


@dataclass(frozen=True)
class Copy:
    """A Memcpy node: `tensor` goes over the bus in `direction`, from the node `source` to the nodes `targets`.

    `source` is empty for an input of the graph, and `targets` is empty for an output; both are empty in what a log
    says, which names the tensor alone. `provider` is the one whose device it is.
    """

    direction: str
    tensor: str
    provider: str
    source: str = ""
    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fallback:
    """A node that a device's provider did not take, and the reason that the log gives. `node` may name an operator."""

    node: str
    reason: str


@dataclass(frozen=True)
class Ran:
    """A node in a profile: how often it ran and for how many milliseconds in the median, as the host saw it."""

    node: str
    op: str
    provider: str
    runs: int
    median_ms: float


@dataclass(frozen=True)
class LogReport:
    """What a log says. `announced` are the sums that it states: (graph, provider, Memcpy nodes)."""

    announced: tuple[tuple[str, str, int], ...]
    copies: tuple[Copy, ...]
    fallbacks: tuple[Fallback, ...]
    placed: tuple[tuple[str, int], ...]
    lines: tuple[str, ...]

    @property
    def memcpy_nodes(self) -> int:
        """The sum of what the log announces; of the single lines where it announces none."""
        return sum(count for _, _, count in self.announced) or len(self.copies)


@dataclass(frozen=True)
class Evidence:
    """What one session did with one graph.

    Attributes:
        model: the file's name.
        title: what the graph is, in words.
        asked: providers in the order in which they were asked for; `providers` are those that serve.
        placements: every node; `source` says whether by the API or by the profile.
        copies: the Memcpy nodes, from the optimised graph.
        fallbacks: nodes on the CPU although a device was asked for first, with the log's reason or `NO_REASON`.
        ran: the profile's nodes; empty where nothing was run.
        log: what ONNX Runtime wrote, without the lines on graph transformers.
        machine: "" for this one; what it was recorded on.
    """

    model: str
    title: str
    asked: tuple[str, ...]
    providers: tuple[str, ...]
    placements: tuple[Placement, ...]
    copies: tuple[Copy, ...]
    fallbacks: tuple[Fallback, ...]
    ran: tuple[Ran, ...]
    log: str
    version: str
    source: str = "API"
    machine: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """Nodes by provider, in the order of `asked`."""
        counted = Counter(row.provider for row in self.placements)
        order = [*self.asked, *sorted(set(counted) - set(self.asked))]
        return {name: counted[name] for name in order if counted[name]}

    def table(self) -> pd.DataFrame:
        """A row for each provider: nodes, their share, and the operators with their number."""
        import pandas as pd

        rows = []
        for provider, count in self.counts.items():
            ops = Counter(row.op for row in self.placements if row.provider == provider).most_common()
            rows.append((provider, count, count / len(self.placements), ", ".join(f"{n} {op}" for op, n in ops)))
        return pd.DataFrame(rows, columns=["provider", "nodes", "share", "operators"])

    def copies_table(self) -> pd.DataFrame:
        """A row for each Memcpy node: direction, tensor, from which node, to which."""
        import pandas as pd

        rows = [
            (
                copy.direction,
                copy.tensor.removesuffix(f"_{copy.provider}"),  # ONNX Runtime's name for its copy of a tensor
                copy.source or "(input)",
                ", ".join(copy.targets) or "(output)",
            )
            for copy in self.copies
        ]
        return pd.DataFrame(rows, columns=["direction", "tensor", "from", "to"])

    def fallback_table(self) -> pd.DataFrame:
        """A row for each reason: nodes on the CPU in a session that asked for a device, their operators and names."""
        import pandas as pd

        op_of = {row.node: row.op for row in self.placements if row.provider == CPU}
        by_reason: dict[str, list[str]] = {}
        for fallback in self.fallbacks:
            by_reason.setdefault(fallback.reason, []).append(fallback.node)
        return pd.DataFrame(
            [
                (
                    len(nodes),
                    ", ".join(f"{n} {op}" for op, n in Counter(op_of.get(x, x) for x in nodes).most_common()),
                    ", ".join(nodes[:4]) + (", ..." if len(nodes) > 4 else ""),
                    reason,
                )
                for reason, nodes in by_reason.items()
            ],
            columns=["nodes", "operators", "names", "reason"],
        )


# --- the API ----------------------------------------------------------------------------------------------------------


def placement(session: Any) -> tuple[Placement, ...]:
    """Which provider each node of a session went to, from ONNX Runtime's API.

    Args:
        session: an `InferenceSession` whose options had the entry `session.record_ep_graph_assignment_info` = "1".

    Raises:
        EvidenceError: the entry was missing, or this ONNX Runtime has no such API (`profiled` serves then).
    """
    ask = getattr(session, "get_provider_graph_assignment_info", None)
    if ask is None:
        import onnxruntime

        raise EvidenceError(
            f"ONNX Runtime {onnxruntime.__version__} does not say where nodes went. Expected a version with"
            " InferenceSession.get_provider_graph_assignment_info; update it, or read a profile with profiled()."
        )
    try:
        parts = ask()
    except Exception as error:  # ONNX Runtime's exceptions have no common base but Exception
        raise EvidenceError(
            "This session kept no record of where its nodes went. Expected"
            ' options.add_session_config_entry("session.record_ep_graph_assignment_info", "1") before the session is'
            f" made. ONNX Runtime says: {_first_line(error)}"
        ) from None
    return tuple(Placement(node.name, node.op_type, part.ep_name) for part in parts for node in part.get_nodes())


def memcpy_nodes(optimised: str | os.PathLike[str]) -> tuple[Copy, ...]:
    """The Memcpy nodes in an optimised graph, as `SessionOptions.optimized_model_filepath` has it written.

    Raises:
        EvidenceError: no such file, or not an ONNX file.
    """
    import onnx

    try:
        graph = onnx.load(os.fspath(optimised), load_external_data=False).graph
    except Exception as error:
        raise EvidenceError(
            f"{os.fspath(optimised)} cannot be read as an ONNX file ({_first_line(error)}). Expected the file that a"
            " session with optimized_model_filepath wrote."
        ) from None
    made_by = {name: node for node in graph.node for name in node.output}
    read_by: dict[str, list[str]] = {}
    for node in graph.node:
        for name in node.input:
            read_by.setdefault(name, []).append(node.name or node.op_type)
    found = []
    for node in graph.node:
        if node.op_type not in ("MemcpyFromHost", "MemcpyToHost"):
            continue
        source = made_by.get(node.input[0])
        found.append(
            Copy(
                TO_DEVICE if node.op_type == "MemcpyFromHost" else TO_HOST,
                node.input[0],
                CUDA,
                (source.name or source.op_type) if source is not None else "",
                tuple(read_by.get(node.output[0], ())),
            )
        )
    return tuple(found)


def profiled(path: str | os.PathLike[str]) -> tuple[Ran, ...]:
    """The nodes in a profile of ONNX Runtime (`enable_profiling`), with provider and median time.

    Raises:
        EvidenceError: no such file, or not a profile.
    """
    try:
        events = json.loads(Path(path).read_text(encoding="utf-8"))
        times: dict[tuple[str, str, str], list[float]] = {}
        for event in events:
            arguments = event.get("args", {})
            if event.get("cat") == "Node" and arguments.get("provider") and event["name"].endswith("_kernel_time"):
                name = event["name"].removesuffix("_kernel_time")
                times.setdefault((name, arguments["op_name"], arguments["provider"]), []).append(event["dur"] / 1000)
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise EvidenceError(
            f"{os.fspath(path)} is no profile of ONNX Runtime ({_first_line(error)}). Expected the file that"
            " session.end_profiling() names."
        ) from None
    return tuple(Ran(*key, runs=len(ms), median_ms=sorted(ms)[len(ms) // 2]) for key, ms in times.items())


# --- the log ----------------------------------------------------------------------------------------------------------

# The older wordings are from descriptions of 2023: "Memcpy From Host", "Using CPUExecutionProvider for X  (fallback)".
_SUM = re.compile(r"(?P<n>\d+) Memcpy nodes are added to the graph (?P<graph>\S+) for (?P<ep>\w+?)\.")
_COPY = re.compile(r"Add Memcpy ?(?P<way>From|To) ?Host (?:after|before) (?P<tensor>\S+) for (?P<ep>\w+)")
_FORCED = re.compile(r"Force fallback to CPU execution for node: (?P<node>\S+)(?: because (?P<why>.+?))?\s*$")
_NO_KERNEL = re.compile(
    r"(?P<ep>\w+) kernel not found in registries for Op type: (?P<op>\w+)(?: node name: (?P<node>\S+))?"
)
_USING = re.compile(r"Using (?P<ep>\w+ExecutionProvider) for (?P<op>\S+)\s+\(fallback\)")
_PLACED = re.compile(r"(?:All nodes|Node\(s\)) placed on \[(?P<ep>\w+)\]\.\s+Number of nodes: (?P<n>\d+)")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CHATTER = re.compile(r"graph_transformer|TransformGraph|GraphTransformer|bfc_arena|Creating BFCArena|Extend")


def parse_log(text: str) -> LogReport:
    """Read ONNX Runtime's log, at severity INFO or VERBOSE, in today's wording and in that of 2023.

    Lines of other kinds are passed over. A log without a line of these kinds gives an empty report.
    """
    announced, copies, fallbacks, placed, lines = [], [], [], [], []
    for line in _COLOUR.sub("", text).splitlines():
        if found := _SUM.search(line):
            announced.append((found["graph"], found["ep"], int(found["n"])))
        elif found := _COPY.search(line):
            copies.append(Copy(TO_DEVICE if found["way"] == "From" else TO_HOST, found["tensor"], found["ep"]))
        elif found := _FORCED.search(line):
            why = re.sub(r"\s+", " ", found["why"] or "ONNX Runtime's optimisation forced it there").strip()
            fallbacks.append(Fallback(found["node"], why))
        elif found := _NO_KERNEL.search(line):
            fallbacks.append(Fallback(found["node"] or found["op"], f"no {found['ep']} kernel for {found['op']}"))
        elif found := _USING.search(line):
            fallbacks.append(Fallback(found["op"], f"placed on {found['ep']}"))
        elif found := _PLACED.search(line):
            placed.append((found["ep"], int(found["n"])))
        else:
            continue
        lines.append(line.strip())
    return LogReport(tuple(announced), tuple(copies), tuple(dict.fromkeys(fallbacks)), tuple(placed), tuple(lines))


# --- all three --------------------------------------------------------------------------------------------------------


def inspect(
    onnx_path: str | os.PathLike[str],
    providers: Sequence[str] = (CUDA, CPU),
    feeds: Mapping[str, Any] | None = None,
    *,
    title: str = "",
    runs: int = 20,
) -> Evidence:
    """Open a graph in a session of its own process, and collect what ONNX Runtime says of it.

    Args:
        onnx_path: the graph.
        providers: in the order of preference; those that this ONNX Runtime lacks are left out (`Evidence.providers`).
        feeds: NumPy arrays by input name; with them the graph is run `runs` times for a profile.
        title: what the graph is, for tables.

    Raises:
        EvidenceError: no such file, no provider that can serve, or ONNX Runtime refused the graph or the feeds.
    """
    import numpy as np

    source = Path(onnx_path)
    if not source.is_file():
        raise EvidenceError(f"No ONNX file at {source}. Expected an existing file; export the model first.")
    with tempfile.TemporaryDirectory() as folder:
        task = Path(folder) / "task.json"
        if feeds is not None:
            np.savez(Path(folder) / "feeds.npz", *map(np.asarray, feeds.values()))
        request = {
            "model": str(source.resolve()),
            "providers": list(providers),
            "feeds": None if feeds is None else list(feeds),
            "runs": runs,
        }
        task.write_text(json.dumps(request), encoding="utf-8")
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        child = subprocess.run(
            [sys.executable, "-m", "helpers.ort", "child", folder],
            capture_output=True, text=True, encoding="utf-8", errors="replace", env=environment,
        )  # fmt: skip
        answer = Path(folder) / "answer.json"
        if not answer.is_file():
            said = next((line for line in reversed(child.stderr.splitlines()) if line.strip()), "it said nothing")
            raise EvidenceError(
                f"ONNX Runtime could not open {source.name} on {', '.join(providers)}. Expected a graph and inputs that"
                f" it can run. It says: {said.strip()}"
            )
        found = json.loads(answer.read_text(encoding="utf-8"))
    log = "\n".join(line for line in _COLOUR.sub("", child.stderr).splitlines() if not _CHATTER.search(line))
    placements = tuple(Placement(**row) for row in found["placements"])
    return Evidence(
        model=source.name,
        title=title or source.stem,
        asked=tuple(providers),
        providers=tuple(found["providers"]),
        placements=placements,
        copies=tuple(Copy(**{**row, "targets": tuple(row["targets"])}) for row in found["copies"]),
        fallbacks=_reasons(placements, tuple(found["providers"]), parse_log(log).fallbacks),
        ran=tuple(Ran(**row) for row in found["ran"]),
        log=log,
        version=found["version"],
        source=found["source"],
    )


def _reasons(
    placements: Iterable[Placement], providers: Sequence[str], said: Iterable[Fallback]
) -> tuple[Fallback, ...]:
    """Each node on the CPU beside a device, with the log's reason: by the node's name, or else by its operator's."""
    if not providers or providers[0] == CPU:
        return ()  # nothing fell back: the CPU is what serves
    reasons: dict[str, str] = {}
    for fallback in said:
        reasons.setdefault(fallback.node, fallback.reason)
    return tuple(
        Fallback(row.node, reasons.get(row.node) or reasons.get(row.op) or NO_REASON)
        for row in placements
        if row.provider == CPU
    )


def _child(folder: Path) -> int:
    """What `inspect` runs in a process of its own: the answer goes to a file, the log to stderr."""
    import numpy as np
    import onnxruntime as ort

    task = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    if hasattr(ort, "preload_dlls") and CUDA in task["providers"] and CUDA in ort.get_available_providers():
        ort.preload_dlls()  # pragma: no cover - needs a GPU
    there = [name for name in task["providers"] if name in ort.get_available_providers()]
    if not there:
        print(f"none of {', '.join(task['providers'])} is in this ONNX Runtime, which has"
              f" {', '.join(ort.get_available_providers())}", file=sys.stderr)  # fmt: skip
        return 1
    ort.set_default_logger_severity(1)  # the partitioner's reasons go to the default logger
    options = ort.SessionOptions()
    options.log_severity_level = 0
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    options.enable_profiling = task["feeds"] is not None
    options.profile_file_prefix = str(folder / "profile")
    session = ort.InferenceSession(task["model"], options, providers=there)
    ran: tuple[Ran, ...] = ()
    if task["feeds"] is not None:
        with np.load(folder / "feeds.npz") as stored:
            arrays = {name: stored[f"arr_{index}"] for index, name in enumerate(task["feeds"])}
        for _ in range(task["runs"]):
            session.run(None, arrays)
        ran = profiled(session.end_profiling())
    try:
        placements, source = placement(session), "API"
    except EvidenceError:
        if not ran:
            raise
        placements = tuple(Placement(row.node, row.op, row.provider) for row in ran if "Memcpy" not in row.op)
        source = "profile"
    answer = {
        "providers": session.get_providers(),
        "placements": [dataclasses.asdict(row) for row in placements],
        "copies": [dataclasses.asdict(row) for row in memcpy_nodes(options.optimized_model_filepath)],
        "ran": [dataclasses.asdict(row) for row in ran],
        "version": ort.__version__,
        "source": source,
    }
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")
    return 0


# --- recordings -------------------------------------------------------------------------------------------------------


def save(evidence: Sequence[Evidence], stem: str | os.PathLike[str], machine: str) -> tuple[Path, Path]:
    """Write `<stem>.json` with everything and `<stem>.log` with the log lines that `parse_log` knows.

    Args:
        machine: the GPU, as it is to be named beside every figure.
    """
    stem = Path(stem)
    data, log = stem.with_suffix(".json"), stem.with_suffix(".log")
    rows = [dataclasses.asdict(item) | {"machine": machine, "log": parse_log(item.log).lines} for item in evidence]
    data.write_text(json.dumps({"machine": machine, "evidence": rows}, indent=1) + "\n", encoding="utf-8")
    parts = [f"# {row['title']} ({row['model']}), {machine}\n" + "".join(f"{x}\n" for x in row["log"]) for row in rows]
    log.write_text("\n".join(parts), encoding="utf-8")
    return data, log


def recorded(stem: str | os.PathLike[str] = RECORDED) -> tuple[Evidence, ...]:
    """What was recorded on a GPU, by `python -m helpers.ort record`.

    Raises:
        EvidenceError: there is no recording, or the file is none.
    """
    path = Path(stem).with_suffix(".json")
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["evidence"]
        return tuple(
            Evidence(
                **{
                    **row,
                    "asked": tuple(row["asked"]),
                    "providers": tuple(row["providers"]),
                    "placements": tuple(Placement(**r) for r in row["placements"]),
                    "copies": tuple(Copy(**{**r, "targets": tuple(r["targets"])}) for r in row["copies"]),
                    "fallbacks": tuple(Fallback(**r) for r in row["fallbacks"]),
                    "ran": tuple(Ran(**r) for r in row["ran"]),
                    "log": "\n".join(row["log"]),
                }
            )
            for row in rows
        )
    except FileNotFoundError:
        raise EvidenceError(
            f"No recording at {path}. Expected the file that `python -m helpers.ort record --out"
            f" {path.with_suffix('')}` writes on a machine with a GPU."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvidenceError(
            f"{path} is no recording of ONNX Runtime ({_first_line(error)}). Expected what `python -m helpers.ort"
            " record` writes; record again."
        ) from None


def write_planted(path: str | os.PathLike[str]) -> Path:
    """Write `PLANTED`: `y = atan(2x) / 2`, float32 `[batch, 4]`. On a GPU, Atan stays on the CPU and x goes there."""
    import onnx

    onnx.save(onnx.parser.parse_model(PLANTED), os.fspath(path))
    return Path(path)


def _record(out: Path) -> int:
    """The graphs of the notebook, in a session that asks for a GPU first."""
    import numpy as np

    from helpers import environment, export, models

    gpu = environment.inspect().gpu
    if gpu is None:
        print("error: there is no NVIDIA GPU here, so there is nothing to record", file=sys.stderr)
        return 1
    generator = models.load_generator()  # pragma: no cover - needs a GPU
    rng = np.random.default_rng(0)  # pragma: no cover - needs a GPU
    ids = rng.integers(0, len(generator.tokenizer), (8, 16), dtype=np.int64)  # pragma: no cover - needs a GPU
    tokens = {"input_ids": ids, "attention_mask": np.ones_like(ids)}  # pragma: no cover - needs a GPU
    with tempfile.TemporaryDirectory() as folder:  # pragma: no cover - needs a GPU
        planted = write_planted(Path(folder) / "planted.onnx")
        found = [
            inspect(planted, feeds={"x": np.ones((2, 4), np.float32)}, title="a planted operator without a kernel")
        ]
        for last_step, what in ((False, "all logits"), (True, "last step's logits")):
            name = f"decoder_{generator.size}{'_last_step' if last_step else ''}.onnx"
            path = export.export_decoder(generator.model, Path(folder) / name, last_step=last_step)
            found.append(inspect(path, feeds=tokens, title=f"decoder, {generator.size} size, {what}"))
    written = save(found, out, gpu.name)  # pragma: no cover - needs a GPU
    print("\n".join(str(path) for path in written))  # pragma: no cover - needs a GPU
    return 0  # pragma: no cover - needs a GPU


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m helpers.ort GRAPH.onnx` prints the tables; `record --out STEM` writes a recording."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["child"]:
        return _child(Path(given[1]))
    if given[:1] == ["record"]:
        record = argparse.ArgumentParser(prog="python -m helpers.ort record", description=_record.__doc__)
        record.add_argument("--out", type=Path, default=RECORDED, help="file without its suffix (default: %(default)s)")
        return _record(record.parse_args(given[1:]).out)
    parser = argparse.ArgumentParser(prog="python -m helpers.ort", description=main.__doc__)
    parser.add_argument("graph", help="an ONNX file")
    options = parser.parse_args(given)
    try:
        evidence = inspect(options.graph)
    except EvidenceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{evidence.model}: ONNX Runtime {evidence.version}, served by {', '.join(evidence.providers)}")
    for table in (evidence.table(), evidence.copies_table(), evidence.fallback_table()):
        print(table.to_string(index=False) if len(table) else f"no {table.columns[0]}")
    return 0


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


if __name__ == "__main__":
    sys.exit(main())
