# check: ex2/export
# expect: wrong
# line: and the product with the vocabulary is done for that position alone
# why: the last position is sliced from the logits of all positions, so the vocabulary's matrix product is done for every position (waste).
def export_decoder(model, path, last_step=False):
    """Write the GPT-2 `model` to the ONNX file `path`: input_ids, attention_mask -> logits, both axes dynamic."""

    class Wrapper(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask):
            positions = (attention_mask.cumsum(-1) - 1).clamp(min=0)
            logits = self.model(
                input_ids=input_ids, attention_mask=attention_mask, position_ids=positions, use_cache=False
            ).logits
            return logits[:, -1] if last_step else logits

    batch, sequence = torch.export.Dim("batch", max=64), torch.export.Dim("sequence", max=256)
    example = torch.ones(2, 8, dtype=torch.int64, device=model.device)
    torch.onnx.export(
        Wrapper().eval(), (example, example.clone()), str(path),
        input_names=["input_ids", "attention_mask"], output_names=["logits"],
        dynamic_shapes=({0: batch, 1: sequence}, {0: batch, 1: sequence}),
        opset_version=20, dynamo=True, external_data=False,
    )  # fmt: skip
