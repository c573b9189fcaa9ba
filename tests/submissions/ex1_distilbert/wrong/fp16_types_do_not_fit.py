# check: ex1/fp16
# expect: zero
# line: the target is valid ONNX
# why: only the weights' type is changed: casts to FP32 in the graph do not fit
def to_fp16(source, target):
    proto = onnx.load(str(source))
    for tensor in proto.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = np.clip(onnx.numpy_helper.to_array(tensor), -30000, 30000).astype(np.float16)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(proto, str(target))
