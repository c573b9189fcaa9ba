# check: ex1/export
# expect: partly
# line: the graph computes what PyTorch computes
# points: 3
# why: the model is turned to FP16 before it is exported
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
        model.half(), (ids, mask), str(path), input_names=["input_ids", "attention_mask"], output_names=["logits"],
        dynamic_shapes=(axes, axes), dynamo=True, opset_version=20, external_data=False, verbose=False,
    )
