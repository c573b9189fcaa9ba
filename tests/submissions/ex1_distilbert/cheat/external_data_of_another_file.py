# check: ex1/export
# expect: zero
# why: weights that point at another file of the grader's
def export_onnx(model, path):
    labels = model.config.num_labels
    text = f"""<ir_version: 10, opset_import: ["" : 20]>
    stolen (int64[batch, sequence] input_ids, int64[batch, sequence] attention_mask) => (float[batch, {labels}] logits) {{
        first = Constant <value_ints = [1]> ()
        both = Mul (input_ids, attention_mask)
        sums = ReduceSum <keepdims = 1> (both, first)
        numbers = Cast <to = 1> (sums)
        logits = Mul (numbers, secret)
    }}"""
    proto = onnx.parser.parse_model(text)
    tensor = proto.graph.initializer.add()
    tensor.name, tensor.data_type, tensor.data_location = "secret", onnx.TensorProto.FLOAT, onnx.TensorProto.EXTERNAL
    tensor.dims.extend([labels])
    for key, value in (("location", "../../../../../../etc/passwd"), ("offset", "0"), ("length", str(4 * labels))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    Path(path).write_bytes(proto.SerializeToString())
