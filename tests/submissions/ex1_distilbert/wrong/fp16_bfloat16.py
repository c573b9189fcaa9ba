# check: ex1/fp16
# expect: zero
# line: weights and activations
# why: BF16 is no FP16
FLOAT, BRAIN = onnx.TensorProto.FLOAT, onnx.TensorProto.BFLOAT16


def to_fp16(source, target):
    import ml_dtypes

    proto = onnx.load(str(source))
    for tensor in proto.graph.initializer:
        if tensor.data_type == FLOAT:
            values = onnx.numpy_helper.to_array(tensor).astype(ml_dtypes.bfloat16)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    for info in [*proto.graph.input, *proto.graph.output, *proto.graph.value_info]:
        if info.type.tensor_type.elem_type == FLOAT:
            info.type.tensor_type.elem_type = BRAIN
    for node in proto.graph.node:
        for item in node.attribute:
            if item.type == onnx.AttributeProto.TENSOR and item.t.data_type == FLOAT:
                values = onnx.numpy_helper.to_array(item.t).astype(ml_dtypes.bfloat16)
                item.t.CopyFrom(onnx.numpy_helper.from_array(values, item.t.name))
            elif node.op_type == "Cast" and item.name == "to" and item.i == FLOAT:
                item.i = BRAIN
    onnx.save(proto, str(target))
