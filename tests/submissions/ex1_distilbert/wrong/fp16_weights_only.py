# check: ex1/fp16
# expect: partly
# line: weights and activations
# points: 0.5
# why: weights are stored in FP16 and cast back: all arithmetic stays FP32
def to_fp16(source, target):
    proto = onnx.load(str(source))
    casts = []
    for tensor in proto.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            name = tensor.name
            values = np.clip(onnx.numpy_helper.to_array(tensor), -30000, 30000).astype(np.float16)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, name + "_half"))
            casts.append(onnx.helper.make_node("Cast", [name + "_half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    onnx.save(proto, str(target))
