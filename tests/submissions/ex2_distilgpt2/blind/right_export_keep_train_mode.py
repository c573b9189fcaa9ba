# check: ex2/export
# expect: right
# why: positions by cumsum*mask - mask, logits_to_keep and slice kept in one expression, Dim.DYNAMIC, and the model's training mode is put back afterwards.
def export_decoder(model, path, last_step=False):
    """Write the GPT-2 `model` to the ONNX file `path`: input_ids, attention_mask -> logits, both axes dynamic."""

    class Decoder(torch.nn.Module):
        def __init__(self, gpt2, keep):
            super().__init__()
            self.gpt2 = gpt2
            self.keep = keep

        def forward(self, input_ids, attention_mask):
            # real tokens: 0, 1, 2, ...; padding: 0
            positions = attention_mask.cumsum(dim=1) * attention_mask - attention_mask
            logits = self.gpt2(
                input_ids,
                attention_mask=attention_mask,
                position_ids=positions,
                use_cache=False,
                logits_to_keep=self.keep,
                return_dict=True,
            ).logits
            return logits.squeeze(1) if self.keep else logits

    was_training = model.training
    model.eval()
    dynamic = (torch.export.Dim.DYNAMIC, torch.export.Dim.DYNAMIC)
    try:
        program = torch.onnx.export(
            Decoder(model, int(last_step)),
            (),
            kwargs={
                "input_ids": torch.ones(2, 5, dtype=torch.int64, device=model.device),
                "attention_mask": torch.ones(2, 5, dtype=torch.int64, device=model.device),
            },
            output_names=["logits"],
            dynamic_shapes={"input_ids": dynamic, "attention_mask": dynamic},
            opset_version=20,
            dynamo=True,
        )
    finally:
        model.train(was_training)
    program.save(str(path), external_data=False)
