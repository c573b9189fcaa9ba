# check: ex1/fp16
# expect: partly
# line: weights and activations
# points: 0.5
# why: the FP32 graph with unused FP16 weights beside it, and FP16 outputs by a cast
def to_fp16(source, target):
    proto = onnx.load(str(source))
    for tensor in list(proto.graph.initializer):
        if tensor.data_type == onnx.TensorProto.FLOAT:
            half = np.clip(onnx.numpy_helper.to_array(tensor), -65504, 65504).astype(np.float16)
            proto.graph.initializer.append(onnx.numpy_helper.from_array(half, tensor.name + "_fp16"))
    for output in proto.graph.output:
        for node in proto.graph.node:
            for i, name in enumerate(node.output):
                if name == output.name:
                    node.output[i] = output.name + "_fp32"
        cast = onnx.helper.make_node("Cast", [output.name + "_fp32"], [output.name], to=onnx.TensorProto.FLOAT16)
        proto.graph.node.append(cast)
        output.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    proto.producer_name = "fp16"
    onnx.save(proto, str(target))
