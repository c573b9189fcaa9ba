# check: ex1/export
# expect: full
# keys: 20
# why: example inputs and axes by name instead of by position; a larger example batch
def export_onnx(model, path):
    ids = torch.randint(1, model.config.vocab_size, (3, 9), device=next(model.parameters()).device)
    batch, sequence = torch.export.Dim("rows", min=1, max=256), torch.export.Dim("tokens", min=2, max=512)
    example = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    torch.onnx.export(
        model.eval(),
        kwargs=example,
        f=str(path),
        input_names=list(example),
        output_names=["logits"],
        dynamic_shapes={name: {0: batch, 1: sequence} for name in example},
        dynamo=True,
        opset_version=20,
        external_data=False,
        verbose=False,
    )
