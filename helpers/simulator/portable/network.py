"""A network: inputs, outputs, and one layer a node of the ONNX model that was parsed into it.

NVIDIA's parser makes more layers of a node (casts of indices, broadcasts), so counts of layers differ from its own.
"""

from __future__ import annotations

import operator
from typing import Any

from .enums import ENUMS, Severity
from .objects import Native, variable
from .types import Dims, incompatible

DataType = ENUMS["DataType"]
LayerType = ENUMS["LayerType"]
Flag = ENUMS["NetworkDefinitionCreationFlag"]

_ALL_FORMATS = (1 << len(ENUMS["TensorFormat"].__members__)) - 1

# ONNX operators by the layer that NVIDIA's parser makes of them
_LAYERS = {
    "ELEMENTWISE": "Add Sub Mul Div Pow Min Max And Or Xor Equal Greater Less GreaterOrEqual LessOrEqual Mod Sum Mean",
    "UNARY": "Abs Acos Acosh Asin Asinh Atan Atanh Ceil Cos Cosh Erf Exp Floor IsInf IsNaN Log Neg Not Reciprocal"
    " Round Sign Sin Sinh Sqrt Tan",
    "ACTIVATION": "Relu Sigmoid Tanh LeakyRelu Elu Selu Softsign Softplus Clip HardSigmoid ThresholdedRelu Gelu Celu",
    "MATRIX_MULTIPLY": "MatMul Gemm",
    "REDUCE": "ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare",
    "SHUFFLE": "Reshape Transpose Flatten DepthToSpace SpaceToDepth",
    "GATHER": "Gather GatherElements GatherND",
    "SLICE": "Slice Split Expand Tile Pad",
    "NORMALIZATION": "LayerNormalization GroupNormalization InstanceNormalization RMSNormalization",
    "SCATTER": "ScatterElements ScatterND Scatter",
    "POOLING": "MaxPool AveragePool GlobalAveragePool GlobalMaxPool",
    "FILL": "Range ConstantOfShape RandomNormal RandomUniform",
    "TOPK": "TopK ArgMax ArgMin",
    "IDENTITY": "Identity Dropout",
    "CONVOLUTION": "Conv",
    "DECONVOLUTION": "ConvTranspose",
    "CONCATENATION": "Concat",
    "SOFTMAX": "Softmax LogSoftmax",
    "CUMULATIVE": "CumSum",
    "SELECT": "Where",
    "EINSUM": "Einsum",
    "ONE_HOT": "OneHot",
    "QUANTIZE": "QuantizeLinear",
    "DEQUANTIZE": "DequantizeLinear",
    "ROTARY_EMBEDDING": "RotaryEmbedding",
    "ATTENTION_INPUT": "Attention",
}
_BY_OPERATOR = {op: layer for layer, ops in _LAYERS.items() for op in ops.split()}


def layer_type(op_type: str) -> Any:
    """The layer type of an ONNX operator: its own (CAST, SHAPE, ...), the table's, else PLUGIN_V3."""
    own = op_type.upper()
    name = _BY_OPERATOR.get(op_type, own if own in LayerType.__members__ else "PLUGIN_V3")
    return getattr(LayerType, name)


class ITensor(Native):
    """A tensor of a network."""

    def __init__(self, network: INetworkDefinition, name: str, dtype: Any, shape: tuple[int, ...]) -> None:
        self._network = network
        self._name, self._dtype, self._shape = name, dtype, shape
        self._dimension_names: dict[int, str] = {}
        self._formats = _ALL_FORMATS
        self._shape_tensor = False

    @property
    def name(self) -> str:
        return self._name

    @name.setter
    def name(self, value: str) -> None:
        if value != self._name and value in self._network._names():
            self._network._error(
                "ITensor::setName",
                3,
                f"Failed attempt to rename a tensor from {self._name} to {value} as the new name is already in use.",
            )
            return
        self._name = value

    @property
    def shape(self) -> Dims:
        return Dims(self._shape)

    @shape.setter
    def shape(self, value: Any) -> None:
        self._shape = tuple(Dims(value))

    dtype = property(lambda self: self._dtype)
    is_network_input = property(lambda self: any(self is t for t in self._network._inputs))
    is_network_output = property(lambda self: any(self is t for t in self._network._outputs))
    is_shape_tensor = property(lambda self: self._shape_tensor)
    is_execution_tensor = property(lambda self: not self._shape_tensor)

    @property
    def allowed_formats(self) -> int:
        return self._formats

    @allowed_formats.setter
    def allowed_formats(self, value: int) -> None:
        self._formats = int(value)

    def get_dimension_name(self, index: int) -> str | None:
        return self._dimension_names.get(index) if self._checked("getDimensionName", index) else None

    def set_dimension_name(self, index: int, name: str) -> None:
        if self._checked("setDimensionName", index):
            self._dimension_names[index] = name

    def _checked(self, where: str, index: int) -> bool:
        inside = 0 <= index < len(self._shape)
        if not inside:
            condition = "condition: (0) <= (index) && (index) < (getDimensions().nbDims)."
            self._network._error(
                f"ITensor::{where}",
                3,
                f"Parameter check failed, {condition} Invalid dimension index: {index}. Valid range of dimension index"
                f"is [0, {len(self._shape)}). Upper bound of dimension index can be queried with"
                " ITensor::getDimensions().nbDims.",
            )
        return inside


class ILayer(Native):
    """A layer of a network: a node of the ONNX model, or one of its weights."""

    def __init__(
        self, network: INetworkDefinition, kind: Any, name: str, inputs: list[Any], outputs: list[Any]
    ) -> None:
        self._network = network
        self._type, self._name, self._inputs, self._outputs = kind, name, inputs, outputs
        self._metadata = "" if kind == LayerType.CONSTANT else f"[ONNX Layer: {name}]"

    type = property(lambda self: self._type)
    num_inputs = property(lambda self: len(self._inputs))
    num_outputs = property(lambda self: len(self._outputs))
    name = property(lambda self: self._name, lambda self, value: setattr(self, "_name", str(value)))
    metadata = property(lambda self: self._metadata, lambda self, value: setattr(self, "_metadata", str(value)))

    def get_input(self, index: int) -> ITensor | None:
        return self._inputs[index] if 0 <= index < len(self._inputs) else None

    def get_output(self, index: int) -> ITensor | None:
        if 0 <= index < len(self._outputs):
            return self._outputs[index]
        self._network._out_of_range(
            "ILayer::getOutput", index, "layer output tensor index", "ILayer::getNbOutputs", self._outputs
        )
        return None

    def get_output_type(self, index: int) -> Any:
        tensor = self.get_output(index)
        return tensor.dtype if tensor is not None else DataType.FLOAT


class INetworkDefinition(Native):
    """What `Builder.create_network` makes and `OnnxParser` fills."""

    def __init__(self, builder: Any, name: str, flags: int) -> None:
        self._builder, self._flags = builder, flags
        self._name = name
        self._inputs: list[ITensor] = []
        self._outputs: list[ITensor] = []
        self._layers: list[ILayer] = []
        self._parsed: Any = None  # what the parser made: `parser.Parsed`
        self._recorder: Any = None

    builder = property(lambda self: self._builder)
    flags = property(lambda self: self._flags)
    name = property(lambda self: self._name, lambda self, value: setattr(self, "_name", str(value)))
    num_inputs = property(lambda self: len(self._inputs))
    num_outputs = property(lambda self: len(self._outputs))
    num_layers = property(lambda self: len(self._layers))
    error_recorder = property(lambda self: self._recorder, lambda self, value: setattr(self, "_recorder", value))

    def _names(self) -> set[str]:
        return {t.name for t in self._inputs} | {t.name for layer in self._layers for t in layer._outputs}

    def _error(self, where: str, code: int, text: str) -> None:
        self._builder._log(Severity.ERROR, f"{where}: Error Code {code}: API Usage Error ({text})")

    def _out_of_range(self, where: str, index: int, what: str, bound: str, items: list[Any]) -> None:
        count = f"getNb{bound.partition('getNb')[2]}()"
        self._error(
            where,
            3,
            f"Parameter check failed, condition: (0) <= (index) && (index) < ({count}). Invalid {what}: {index}. Valid"
            f" range of {what}is [0, {len(items)}). Upper bound of {what} can be queried with {bound}.",
        )

    def get_flag(self, flag: Any) -> bool:
        if not isinstance(flag, Flag):
            raise incompatible("get_flag(self, flag: tensorrt.NetworkDefinitionCreationFlag) -> bool", flag)
        return bool(self._flags >> int(flag) & 1)

    def get_input(self, index: int) -> ITensor | None:
        if 0 <= operator.index(index) < len(self._inputs):
            return self._inputs[index]
        what = "network output index"  # TensorRT says so
        self._out_of_range("INetworkDefinition::getInput", index, what, "INetworkDefinition::getNbInputs", self._inputs)
        return None

    def get_output(self, index: int) -> ITensor | None:
        if 0 <= operator.index(index) < len(self._outputs):
            return self._outputs[index]
        what = "network output index"
        self._out_of_range(
            "INetworkDefinition::getOutput", index, what, "INetworkDefinition::getNbOutputs", self._outputs
        )
        return None

    def get_layer(self, index: int) -> ILayer | None:
        if 0 <= operator.index(index) < len(self._layers):
            return self._layers[index]
        size = len(self._layers)
        self._builder._log(
            Severity.ERROR,
            f"Unexpected exception vector::_M_range_check: __n (which is {index}) >= this->size() (which is {size})",
        )
        return None

    def __len__(self) -> int:
        return len(self._layers)

    def __getitem__(self, arg0: int) -> ILayer:
        try:
            return self._layers[operator.index(arg0)]
        except IndexError:
            raise IndexError("Out of bounds") from None

    def mark_output(self, tensor: ITensor) -> None:
        """Make `tensor` an output. The build refuses a network whose outputs are not those of the ONNX model."""
        self._need(tensor, "mark_output")
        where = "INetworkDefinition::markOutput"
        what = f"Failed attempt to set a tensor {tensor.name} as network-level output"
        if tensor.is_network_output:
            self._error(where, 4, f"{what} as it was already set as network-level output.")
        elif tensor.is_network_input:
            self._error(
                where,
                4,
                f"{what}. It was previously set as a network-level input. Tensor can't be both input and output at"
                " network level.",
            )
        else:
            self._outputs.append(tensor)

    def unmark_output(self, tensor: ITensor) -> None:
        self._need(tensor, "unmark_output")
        if tensor.is_network_output:
            self._outputs = [t for t in self._outputs if t is not tensor]
        else:
            self._error(
                "INetworkDefinition::unmarkOutput",
                3,
                f"Failed attempt to unset a tensor {tensor.name} as a network-level output. It's currently not set as a"
                " network-level output.",
            )

    def _need(self, tensor: Any, method: str) -> None:
        if not isinstance(tensor, ITensor):
            raise incompatible(f"{method}(self, tensor: tensorrt.ITensor) -> None", tensor)


class IPluginRegistry(Native):
    """The registry of plugins. It is empty: plugins are CUDA code."""

    all_creators = property(lambda self: [])
    all_creators_recursive = property(lambda self: [])
    parent_search_enabled = variable("parent_search_enabled", True)
    error_recorder = variable("error_recorder", None)

    def get_creator(self, type: str, version: str, plugin_namespace: str = "") -> None:
        return None


class ITimingCache(Native):
    """A timing cache. TensorRT-RTX times nothing at build time, so it keeps nothing."""

    def combine(self, input_cache: ITimingCache, ignore_mismatch: bool) -> bool:
        return True

    def reset(self) -> bool:
        return True

    def serialize(self) -> bytes:
        return b""
