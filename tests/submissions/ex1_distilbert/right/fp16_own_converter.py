# check: ex1/fp16
# expect: full
# whole: yes
# why: a converter written by hand: every FP32 tensor, constant, cast and declared type becomes FP16
FLOAT, HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16


def halved(tensor):
    if tensor.data_type != FLOAT:
        return
    values = np.clip(onnx.numpy_helper.to_array(tensor), -30000, 30000).astype(np.float16)
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


def halved_graph(graph):
    for tensor in graph.initializer:
        halved(tensor)
    for info in [*graph.input, *graph.output, *graph.value_info]:
        if info.type.tensor_type.elem_type == FLOAT:
            info.type.tensor_type.elem_type = HALF
    for node in graph.node:
        for item in node.attribute:
            if item.type == onnx.AttributeProto.TENSOR:
                halved(item.t)
            elif item.type == onnx.AttributeProto.GRAPH:
                halved_graph(item.g)
            elif node.op_type == "Constant" and item.name in ("value_float", "value_floats"):
                values = [item.f] if item.name == "value_float" else list(item.floats)
                array = np.clip(np.array(values, np.float32), -30000, 30000).astype(np.float16)
                array = array.reshape(()) if item.name == "value_float" else array
                tensor = onnx.numpy_helper.from_array(array)
                item.CopyFrom(onnx.helper.make_attribute("value", tensor))
            elif node.op_type == "Cast" and item.name == "to" and item.i == FLOAT:
                item.i = HALF


def to_fp16(source, target):
    proto = onnx.load(str(source))
    halved_graph(proto.graph)
    onnx.checker.check_model(proto)
    onnx.save(proto, str(target))
