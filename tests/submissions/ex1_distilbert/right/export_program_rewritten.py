# check: ex1/export
# expect: full
# why: the program's proto is renamed and written with onnx.save, in one file
def export_onnx(model, path):
    ids = torch.randint(0, model.config.vocab_size, (2, 8), device=next(model.parameters()).device)
    axes = {0: torch.export.Dim("batch", min=1, max=256), 1: torch.export.Dim("sequence", min=2, max=512)}
    program = torch.onnx.export(
        model, (ids, torch.ones_like(ids)), dynamic_shapes=(axes, axes), dynamo=True, opset_version=20, verbose=False
    )
    proto = program.model_proto
    output = proto.graph.output[0]
    for node in proto.graph.node:
        for i, name in enumerate(node.output):
            if name == output.name:
                node.output[i] = "logits"
        for i, name in enumerate(node.input):
            if name == output.name:
                node.input[i] = "logits"
    output.name = "logits"
    onnx.save(proto, str(path), save_as_external_data=False)
