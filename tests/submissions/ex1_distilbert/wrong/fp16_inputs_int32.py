# check: ex1/fp16
# expect: partly
# line: int64 inputs and the outputs keep their names, in one file
# points: 1
# why: the inputs become int32
def to_fp16(source, target):
    """Write an FP16 twin of the ONNX file `source` to `target`: weights and activations FP16, integer inputs as they are."""
    from onnx import numpy_helper
    from onnxconverter_common import float16

    proto = onnx.load(str(source))
    held = list(proto.graph.initializer)
    held += [item.t for node in proto.graph.node if node.op_type == "Constant" for item in node.attribute]
    for tensor in held:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor)
            hidden = np.abs(values) > 1e30  # "minus infinity", which hides padding
            if hidden.any():
                values = np.where(hidden, np.copysign(np.float32(30000), values), values).astype(np.float32)
                tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        half = float16.convert_float_to_float16(proto, min_positive_val=2.0**-24, max_finite_val=65504.0)
    for info in half.graph.input:
        info.type.tensor_type.elem_type = onnx.TensorProto.INT32
        cast = onnx.helper.make_node("Cast", [info.name], [info.name + "_wide"], to=onnx.TensorProto.INT64)
        for node in half.graph.node:
            for i, name in enumerate(node.input):
                if name == info.name:
                    node.input[i] = info.name + "_wide"
        half.graph.node.insert(0, cast)
    onnx.save(half, str(target))
