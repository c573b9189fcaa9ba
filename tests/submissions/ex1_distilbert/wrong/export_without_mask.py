# check: ex1/export
# expect: partly
# line: int64 inputs input_ids and attention_mask
# points: 0.5
# why: the attention mask is not an input
def export_onnx(model, path):
    """Write `model` to the ONNX file `path`: input_ids, attention_mask -> logits, batch and sequence dynamic."""
    device = next(model.parameters()).device
    ids = torch.randint(0, model.config.vocab_size, (2, 16), device=device)
    mask = torch.ones_like(ids)
    axes = {
        0: torch.export.Dim("batch", min=1, max=256),
        1: torch.export.Dim("sequence", min=2, max=512),
    }
    torch.onnx.export(
        model, (ids,), str(path), input_names=["input_ids"], output_names=["logits"],
        dynamic_shapes=(axes,), dynamo=True, opset_version=20, external_data=False, verbose=False,
    )
