# check: ex1/export
# expect: partly
# line: the graph computes what PyTorch computes
# points: 3
# why: probabilities instead of logits
class Probabilities(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits.softmax(-1)


def export_onnx(model, path):
    """Write `model` to the ONNX file `path`: input_ids, attention_mask -> logits, batch and sequence dynamic."""
    device = next(model.parameters()).device
    ids = torch.randint(0, model.config.vocab_size, (2, 16), device=device)
    mask = torch.ones_like(ids)
    axes = {
        0: torch.export.Dim("batch", min=1, max=256),
        1: torch.export.Dim("sequence", min=2, max=512),
    }
    torch.onnx.export(
        Probabilities(model), (ids, mask), str(path), input_names=["input_ids", "attention_mask"], output_names=["logits"],
        dynamic_shapes=(axes, axes), dynamo=True, opset_version=20, external_data=False, verbose=False,
    )
