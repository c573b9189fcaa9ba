# check: ex2/export
# expect: right
# why: positions as in transformers' own generate (masked_fill with 1), head applied by hand to the last hidden state, Dims named and shared.
def export_decoder(model, path, last_step=False):
    """Write the GPT-2 `model` to the ONNX file `path`: input_ids, attention_mask -> logits, both axes dynamic."""

    class LastOrAll(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = model.transformer, model.lm_head

        def forward(self, input_ids, attention_mask):
            positions = (attention_mask.long().cumsum(-1) - 1).masked_fill(attention_mask == 0, 1)
            hidden = self.body(
                input_ids=input_ids,
                attention_mask=attention_mask,
                position_ids=positions,
                use_cache=False,
            ).last_hidden_state
            return self.head(hidden[:, -1] if last_step else hidden)

    device = next(model.parameters()).device
    batch, sequence = torch.export.Dim("batch", min=1, max=64), torch.export.Dim("sequence", min=1, max=256)
    ids = torch.randint(0, model.config.vocab_size, (3, 7), device=device)
    mask = torch.ones_like(ids)
    mask[1, :2] = 0
    torch.onnx.export(
        LastOrAll().eval(),
        (ids, mask),
        str(path),
        input_names=["input_ids", "attention_mask"],
        output_names=["logits"],
        dynamic_shapes={
            "input_ids": {0: batch, 1: sequence},
            "attention_mask": {0: batch, 1: sequence},
        },
        opset_version=20,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
