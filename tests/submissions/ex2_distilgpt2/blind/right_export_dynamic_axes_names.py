# check: ex2/export
# expect: right
# why: two small modules, string axis names in dynamic_shapes, positions clamped; writes in a temporary folder and joins weights with onnx.save so that one file is left.
def export_decoder(model, path, last_step=False):
    """Write the GPT-2 `model` to the ONNX file `path`: input_ids, attention_mask -> logits, both axes dynamic."""
    import tempfile

    class All(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def run(self, input_ids, attention_mask, **more):
            positions = torch.clamp(torch.cumsum(attention_mask, dim=-1) - 1, min=0)
            return self.model(
                input_ids=input_ids, attention_mask=attention_mask, position_ids=positions, use_cache=False, **more
            ).logits

        def forward(self, input_ids, attention_mask):
            return self.run(input_ids, attention_mask)

    class Last(All):
        def forward(self, input_ids, attention_mask):
            return self.run(input_ids, attention_mask, logits_to_keep=1)[:, 0, :]

    module = (Last() if last_step else All()).eval()
    example = torch.zeros((2, 6), dtype=torch.int64, device=model.device)
    axes = {0: "batch", 1: "sequence"}
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        apart = Path(folder) / "decoder.onnx"
        torch.onnx.export(
            module,
            (example, torch.ones_like(example)),
            str(apart),
            input_names=list(INPUTS),
            output_names=["logits"],
            dynamic_shapes=(axes, dict(axes)),
            opset_version=20,
            dynamo=True,
            external_data=True,
        )
        onnx.save(onnx.load(str(apart)), str(path))  # loads the external data and writes it into the file
