# check: ex1/fp16
# expect: partly
# line: weights and activations
# points: 0.5
# why: precision.to_fp16, and then every product between two casts in FP32
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
    nodes = []
    for number, node in enumerate(half.graph.node):
        if node.op_type in ("MatMul", "Gemm", "Mul", "Add"):
            for i, name in enumerate(node.input):
                wide = f"{name}_wide_{number}_{i}"
                nodes.append(onnx.helper.make_node("Cast", [name], [wide], to=onnx.TensorProto.FLOAT))
                node.input[i] = wide
            narrow, node.output[0] = node.output[0], f"{node.output[0]}_wide"
            nodes.append(node)
            nodes.append(onnx.helper.make_node("Cast", [node.output[0]], [narrow], to=onnx.TensorProto.FLOAT16))
        else:
            nodes.append(node)
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del half.graph.node[:]
    del half.graph.value_info[:]
    half.graph.node.extend(kept)
    onnx.save(half, str(target))
