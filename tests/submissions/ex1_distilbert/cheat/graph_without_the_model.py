# check: ex1/export
# expect: zero
# why: a graph with the right names, types and axes that computes nothing
def export_onnx(model, path):
    labels = model.config.num_labels
    text = f"""<ir_version: 10, opset_import: ["" : 20]>
    empty (int64[batch, sequence] input_ids, int64[batch, sequence] attention_mask) => (float[batch, {labels}] logits) {{
        nothing = Constant <value_floats = {[0.1] * labels}> ()
        first = Constant <value_ints = [1]> ()
        both = Mul (input_ids, attention_mask)
        sums = ReduceSum <keepdims = 1> (both, first)
        numbers = Cast <to = 1> (sums)
        logits = Mul (numbers, nothing)
    }}"""
    onnx.save(onnx.parser.parse_model(text), str(path))
