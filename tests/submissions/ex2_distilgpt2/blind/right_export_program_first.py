# check: ex2/export
# expect: right
# why: torch.export.export first with Dim.AUTO, then the ExportedProgram goes to torch.onnx.export; positions by a running sum of booleans, padding at the table's last position.
def export_decoder(model, path, last_step=False):
    """Write the GPT-2 `model` to the ONNX file `path`: input_ids, attention_mask -> logits, both axes dynamic."""
    unused = model.config.n_positions - 1

    class Positioned(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lm = model

        def forward(self, input_ids, attention_mask):
            real = attention_mask.bool()
            positions = torch.where(real, real.long().cumsum(1) - 1, unused)
            keep = 1 if last_step else 0
            logits = self.lm(
                input_ids=input_ids,
                attention_mask=attention_mask,
                position_ids=positions,
                use_cache=False,
                logits_to_keep=keep,
            ).logits
            return logits.flatten(0, 1) if last_step else logits

    auto = {0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO}
    ids = torch.arange(3 * 9, device=model.device).reshape(3, 9) % model.config.vocab_size
    with torch.no_grad():
        program = torch.export.export(
            Positioned().eval(), (ids, torch.ones_like(ids)), dynamic_shapes=(auto, dict(auto)), strict=False
        )
        torch.onnx.export(
            program,
            f=str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            opset_version=20,
            dynamo=True,
            external_data=False,
        )
