# check: ex1/fp16
# expect: partly
# line: the same answers
# points: 1.5
# why: small weights are raised to 0.25
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
        half = float16.convert_float_to_float16(proto, min_positive_val=0.25, max_finite_val=65504.0)
    onnx.save(half, str(target))
