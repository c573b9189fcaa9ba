# check: ex2/export
# expect: wrong
# line: with last_step=True logits are [batch, vocabulary], of the last position
# why: takes the last position at index mask.sum()-1, which is right for padding on the right only; on the left-padded rows of this exercise it is another token.
def export_decoder(model, path, last_step=False):
    """Write the GPT-2 `model` to the ONNX file `path`: input_ids, attention_mask -> logits, both axes dynamic."""

    class Wrapper(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask):
            positions = (attention_mask.cumsum(-1) - 1).clamp(min=0)
            hidden = self.model.transformer(
                input_ids=input_ids, attention_mask=attention_mask, position_ids=positions, use_cache=False
            ).last_hidden_state
            if last_step:
                last = (attention_mask.sum(dim=1) - 1)[:, None, None].expand(-1, 1, hidden.shape[-1])
                hidden = hidden.gather(1, last)[:, 0]
            return self.model.lm_head(hidden)

    batch, sequence = torch.export.Dim("batch", max=64), torch.export.Dim("sequence", max=256)
    example = torch.ones(2, 8, dtype=torch.int64, device=model.device)
    torch.onnx.export(
        Wrapper().eval(), (example, example.clone()), str(path),
        input_names=["input_ids", "attention_mask"], output_names=["logits"],
        dynamic_shapes=({0: batch, 1: sequence}, {0: batch, 1: sequence}),
        opset_version=20, dynamo=True, external_data=False,
    )  # fmt: skip
