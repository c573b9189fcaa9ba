# check: ex1/fp16
# expect: partly
# line: weights and activations are FP16
# points: 0.5
# why: the FP32 graph stands unchanged in a function; an unused FP16 constant and an unused FP16 product are the decoration
def to_fp16(source, target):
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(source))
    graph = model.graph
    held = sum(len(t.raw_data) for t in graph.initializer)
    inputs = [t.name for t in graph.input] + [t.name for t in graph.initializer]
    outputs = [t.name for t in graph.output]
    body = helper.make_function("own", "Everything", inputs, outputs, list(graph.node), list(model.opset_import))
    call = helper.make_node("Everything", inputs, outputs, domain="own")
    side = int((held * 5 / 2) ** 0.5) + 1
    big = numpy_helper.from_array(np.zeros((side, side), np.float16), "decoration")
    product = helper.make_node("MatMul", ["decoration", "decoration"], ["nothing"])
    del graph.node[:]
    graph.node.extend([product, call])
    graph.initializer.append(big)
    model.functions.append(body)
    model.opset_import.append(helper.make_opsetid("own", 1))
    onnx.save(model, str(target))
