# check: ex2/export
# expect: wrong
# line: a row that is padded on the left gives the logits of the same row without padding
# why: the mask is used for the positions only; the attention gets ones, so real tokens attend to the padding.
def export_decoder(model, path, last_step=False):
    """Write the GPT-2 `model` to the ONNX file `path`: input_ids, attention_mask -> logits, both axes dynamic."""

    class Wrapper(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask):
            positions = (attention_mask.cumsum(-1) - 1).clamp(min=0)
            logits = self.model(
                input_ids=input_ids, attention_mask=torch.ones_like(attention_mask), position_ids=positions,
                use_cache=False, logits_to_keep=1 if last_step else 0,
            ).logits  # fmt: skip
            return logits[:, -1] if last_step else logits

    batch, sequence = torch.export.Dim("batch", max=64), torch.export.Dim("sequence", max=256)
    example = torch.ones(2, 8, dtype=torch.int64, device=model.device)
    torch.onnx.export(
        Wrapper().eval(), (example, example.clone()), str(path),
        input_names=["input_ids", "attention_mask"], output_names=["logits"],
        dynamic_shapes=({0: batch, 1: sequence}, {0: batch, 1: sequence}),
        opset_version=20, dynamo=True, external_data=False,
    )  # fmt: skip
