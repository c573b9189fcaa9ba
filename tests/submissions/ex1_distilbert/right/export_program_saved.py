# check: ex1/export
# expect: full
# whole: yes
# why: torch.export first, then the ONNX program is made from it and saved
def export_onnx(model, path):
    ids = torch.zeros((4, 12), dtype=torch.int64, device=next(model.parameters()).device)
    mask = torch.ones_like(ids)
    axes = {0: torch.export.Dim("batch", min=1, max=256), 1: torch.export.Dim("sequence", min=2, max=512)}
    with torch.no_grad():
        exported = torch.export.export(model, (ids, mask), dynamic_shapes=(axes, axes), strict=False)
    program = torch.onnx.export(
        exported, input_names=["input_ids", "attention_mask"], output_names=["logits"], dynamo=True, opset_version=20,
        verbose=False,
    )
    program.save(str(path), external_data=False)
