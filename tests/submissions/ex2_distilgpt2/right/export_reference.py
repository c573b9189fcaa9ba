# check: ex2/export
# expect: full
# why: the slice lies before the last product
def export_decoder(model, path, last_step=False):
    """Write the GPT-2 `model` to the ONNX file `path`: input_ids, attention_mask -> logits, both axes dynamic."""

    class Decoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask):
            positions = (attention_mask.cumsum(-1) - 1).clamp(min=0)
            logits = self.model(
                input_ids=input_ids, attention_mask=attention_mask, position_ids=positions, use_cache=False,
                logits_to_keep=1 if last_step else 0,
            ).logits
            return logits[:, -1] if last_step else logits

    example = torch.ones((2, 8), dtype=torch.int64)
    axes = {0: torch.export.Dim("batch", min=1, max=64), 1: torch.export.Dim("sequence", min=1, max=512)}
    torch.onnx.export(
        Decoder().eval(), (example, example.clone()), str(path), input_names=["input_ids", "attention_mask"],
        output_names=["logits"], dynamic_shapes=(axes, axes), dynamo=True, opset_version=20, external_data=False,
        verbose=False,
    )
