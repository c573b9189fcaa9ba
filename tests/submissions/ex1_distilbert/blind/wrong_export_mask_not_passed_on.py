# check: ex1/export
# expect: wrong
# line: the graph computes what PyTorch computes
# points: 3
# note: line and points were added after the first contact, by the corpus's author, with sight of the checks
# why: the wrapper takes attention_mask and does not pass it on, so that padded texts get other logits
class Wrapper(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids).logits


def export_onnx(model, path):
    """Write `model` to the ONNX file `path`: input_ids, attention_mask -> logits, batch and sequence dynamic."""
    device = next(model.parameters()).device
    ids = torch.randint(0, model.config.vocab_size, (2, 8), device=device)
    mask = torch.ones(2, 8, dtype=torch.long, device=device)
    batch = torch.export.Dim("batch", min=1, max=256)
    seq = torch.export.Dim("sequence", min=2, max=512)
    shapes = ({0: batch, 1: seq}, {0: batch, 1: seq})
    torch.onnx.export(
        Wrapper(model).eval(),
        (ids, mask),
        str(path),
        input_names=["input_ids", "attention_mask"],
        output_names=["logits"],
        dynamic_shapes=shapes,
        dynamo=True,
        opset_version=20,
        external_data=False,
        verbose=False,
    )
