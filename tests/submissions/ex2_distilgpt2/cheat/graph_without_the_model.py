# check: ex2/export
# expect: zero
# why: a graph of the right form that holds nothing of the model
import onnx.parser


def export_decoder(model, path, last_step=False):
    words = model.config.vocab_size
    shape = f"batch, {words}" if last_step else f"batch, sequence, {words}"
    text = f"""<ir_version: 10, opset_import: ["" : 20]>
    decoder (int64[batch, sequence] input_ids, int64[batch, sequence] attention_mask) => (float[{shape}] logits) {{
        depth = Constant <value_ints = [{words}]> ()
        values = Constant <value_floats = [0.0, 1.0]> ()
        both = Mul (input_ids, attention_mask)
        all = OneHot (both, depth, values)
        {"end = Constant <value_int = -1> ()" if last_step else ""}
        logits = {"Gather <axis = 1> (all, end)" if last_step else "Identity (all)"}
    }}"""
    onnx.save(onnx.parser.parse_model(text), str(path))
