# check: ex2/export
# expect: wrong
# line: batch and sequence of both inputs are dynamic
# why: only the sequence axis is dynamic; the batch is frozen to the example's two rows.
def export_decoder(model, path, last_step=False):
    """Write the GPT-2 `model` to the ONNX file `path`: input_ids, attention_mask -> logits, both axes dynamic."""

    class Wrapper(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask):
            positions = (attention_mask.cumsum(-1) - 1).clamp(min=0)
            logits = self.model(
                input_ids=input_ids, attention_mask=attention_mask, position_ids=positions, use_cache=False,
                logits_to_keep=1 if last_step else 0,
            ).logits  # fmt: skip
            return logits[:, -1] if last_step else logits

    sequence = torch.export.Dim("sequence", max=256)
    example = torch.ones(2, 8, dtype=torch.int64, device=model.device)
    torch.onnx.export(
        Wrapper().eval(), (example, example.clone()), str(path),
        input_names=["input_ids", "attention_mask"], output_names=["logits"],
        dynamic_shapes=({1: sequence}, {1: sequence}),
        opset_version=20, dynamo=True, external_data=False,
    )  # fmt: skip
