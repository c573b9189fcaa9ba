# check: ex1/fp16
# expect: wrong
# line: weights and activations are FP16
# points: 0.5
# note: line and points were added after the first contact, by the corpus's author, with sight of the checks
# why: weights are stored in FP16 and cast back to FP32 where they are used, so that all activations stay FP32
from onnx import TensorProto, helper, numpy_helper


def to_fp16(source, target):
    """Write the FP32 model in the ONNX file `source` as an FP16 model to the ONNX file `target`."""
    model = onnx.load(str(source))
    graph = model.graph
    casts = []
    for init in graph.initializer:
        if init.data_type != TensorProto.FLOAT:
            continue
        weights = np.clip(numpy_helper.to_array(init), -65504, 65504).astype(np.float16)
        name = init.name
        init.CopyFrom(numpy_helper.from_array(weights, name + "_fp16"))
        casts.append(helper.make_node("Cast", [name + "_fp16"], [name], to=TensorProto.FLOAT))
    nodes = casts + list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, str(target))
