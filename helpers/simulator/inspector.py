"""`tensorrt.EngineInspector` of the simulator: what the builder's own log said of the layers that it made.

The lines are the builder's, from the verbose log of the build; nothing is made up. How much they tell follows the
`profiling_verbosity` of the build, as in TensorRT: names, everything, or nothing.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from .names import explain
from .native import nv
from .objects import Object, attribute

if TYPE_CHECKING:
    from .runtime import ICudaEngine

# A line of the builder's log. With the usual verbosity:
#   Layer(Myelin): {ForeignNode[W...add]}, Tactic: 0x0000000000000000, x (Float[-1,8]) -> y (Float[-1,4])
# and with DETAILED:
#   Name: __myl_Add_myl0_1, LayerType: kgen, Inputs: [ { Name: x, Dimensions: [-1,8], ..., Datatype: Float, Format:
#   (Linear) Row major linear format }], Constants: [], Outputs: [...], TacticName: ..., StreamId: 0, Metadata: ...
_SHORT = re.compile(r"Layer\([^)]*\): (?P<name>.*?), Tactic: ")
_LONG = re.compile(r"Name: (?P<name>.*?), LayerType: (?P<type>\w+)")
_FIELD = re.compile(r"(?:^|, )(Inputs|Constants|Outputs|TacticName|StreamId|Metadata): ")
_TENSOR = re.compile(
    r"\{ Name: (?P<name>.*?), Dimensions: \[(?P<dims>[-\d,]*)\].*?Datatype: (?P<type>\w+), Format: (?P<format>.*?) \}"
)


def layer_name(line: str) -> str:
    """The name of a layer in a line of the builder's log."""
    found = _SHORT.match(line) or _LONG.match(line)
    return found["name"] if found else line


def _tensors(text: str) -> list[dict[str, Any]]:
    return [
        {
            "Name": m["name"],
            "Location": "Device",
            "Dimensions": [int(d) for d in m["dims"].split(",") if d],
            "Format/Datatype": f"{m['format']} {m['type']}",
        }
        for m in _TENSOR.finditer(text)
    ]


def _parsed(line: str) -> dict[str, Any]:
    """A line of a DETAILED build as TensorRT's JSON has it."""
    found = _LONG.match(line)
    if found is None:
        return {"Name": line}
    parts = _FIELD.split(line[found.end() :])
    fields = dict(zip(parts[1::2], parts[2::2], strict=True))
    return {
        "Name": found["name"],
        "LayerType": found["type"],
        "Inputs": _tensors(fields.get("Inputs", "")),
        "Outputs": _tensors(fields.get("Outputs", "")),
        "TacticName": fields.get("TacticName", ""),
        "StreamId": int(fields.get("StreamId") or 0),
        "Metadata": fields.get("Metadata", ""),
    }


class EngineInspector(Object):
    """`tensorrt.EngineInspector`."""

    _title = "IEngineInspector"

    def __init__(self, engine: ICudaEngine) -> None:
        self._engine, self._logger, self._error_recorder = engine, engine._logger, engine._error_recorder
        self._context: Any = None

    error_recorder = attribute("error_recorder", nv.IErrorRecorder)

    @property
    def execution_context(self) -> Any:
        return self._context

    @execution_context.setter
    def execution_context(self, value: Any) -> None:
        from .context import IExecutionContext

        if not (value is None or isinstance(value, IExecutionContext)):
            raise TypeError(f"execution_context: expected an IExecutionContext, got {type(value).__name__}")
        self._context = value

    def _layer(self, line: str) -> Any:
        detailed = self._engine.profiling_verbosity == nv.ProfilingVerbosity.DETAILED
        return _parsed(line) if detailed else layer_name(line)

    def _lines(self) -> tuple[str, ...]:
        hidden = self._engine.profiling_verbosity == nv.ProfilingVerbosity.NONE
        return () if hidden else self._engine._plan.layer_info

    def get_layer_information(self, layer_index: int, format: Any) -> str:
        """One layer: its name, or all that is known where the build's verbosity was DETAILED."""
        if not 0 <= layer_index < self._engine.num_layers:
            self._error(
                "getLayerInformation", f"layer index {layer_index} must be in the range [0, {self._engine.num_layers})"
            )
            return ""
        lines = self._lines()
        if layer_index >= len(lines):
            return "{}" if format == nv.LayerInformationFormat.JSON else ""
        layer = self._layer(lines[layer_index])
        if format == nv.LayerInformationFormat.JSON:
            return json.dumps(layer)
        return lines[layer_index] if isinstance(layer, dict) else str(layer)

    def get_engine_information(self, format: Any) -> str:
        """All layers and the names of the I/O tensors, one a line or as {"Layers": [...], "Bindings": [...]}."""
        tensors = [t.name for t in self._engine._plan.tensors]
        if format == nv.LayerInformationFormat.JSON:
            return json.dumps({"Layers": [self._layer(line) for line in self._lines()], "Bindings": tensors})
        layers = [self.get_layer_information(i, format) for i in range(len(self._lines()))]
        return "\n".join(["Layers:", *layers, "", "Bindings:", *tensors]) + "\n"


explain(EngineInspector)
