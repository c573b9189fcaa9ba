# check: ex1/export
# expect: wrong
# line: one file, with the weights inside
# note: line and points were added after the first contact, by the corpus's author, with sight of the checks
# why: external_data=False was left out, so the weights go into a second file beside the one asked for
def export_onnx(model, path):
    """Write `model` to the ONNX file `path`: input_ids, attention_mask -> logits, batch and sequence dynamic."""
    device = next(model.parameters()).device
    input_ids = torch.randint(0, model.config.vocab_size, (2, 32), device=device)
    attention_mask = torch.ones_like(input_ids)

    batch = torch.export.Dim("batch", min=1, max=256)
    sequence = torch.export.Dim("sequence", min=2, max=512)

    model.eval()
    with torch.no_grad():
        torch.onnx.export(
            model,
            (input_ids, attention_mask),
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_shapes={
                "input_ids": {0: batch, 1: sequence},
                "attention_mask": {0: batch, 1: sequence},
            },
            opset_version=20,
            dynamo=True,
        )
