# check: ex1/fp16
# expect: partly
# line: finite
# points: 2.5
# why: minus infinity becomes FP16's infinity, and a row of padding becomes NaN
FLOAT, HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16


def halved(tensor):
    if tensor.data_type == FLOAT:
        with np.errstate(over="ignore"):
            values = onnx.numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


def to_fp16(source, target):
    proto = onnx.load(str(source))
    for tensor in proto.graph.initializer:
        halved(tensor)
    for info in [*proto.graph.input, *proto.graph.output, *proto.graph.value_info]:
        if info.type.tensor_type.elem_type == FLOAT:
            info.type.tensor_type.elem_type = HALF
    for node in proto.graph.node:
        for item in node.attribute:
            if item.type == onnx.AttributeProto.TENSOR:
                halved(item.t)
            elif node.op_type == "Cast" and item.name == "to" and item.i == FLOAT:
                item.i = HALF
    onnx.save(proto, str(target))
