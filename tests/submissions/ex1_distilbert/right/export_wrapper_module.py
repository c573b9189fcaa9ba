# check: ex1/export
# expect: full
# why: a wrapper whose forward returns the logits alone; axes left to the exporter (Dim.DYNAMIC)
class OnlyLogits(torch.nn.Module):
    """The classifier, reduced to what the service needs."""

    def __init__(self, classifier):
        super().__init__()
        self.classifier = classifier

    def forward(self, input_ids, attention_mask):
        return self.classifier(input_ids=input_ids, attention_mask=attention_mask).logits


def export_onnx(model, path):
    device = next(model.parameters()).device
    ids = torch.arange(2 * 16, device=device).reshape(2, 16) % model.config.vocab_size
    mask = (ids > 0).to(torch.int64)
    dynamic = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    torch.onnx.export(
        OnlyLogits(model).eval(), (ids, mask), Path(path), dynamo=True, opset_version=20, external_data=False,
        input_names=("input_ids", "attention_mask"), output_names=("logits",), verbose=False,
        dynamic_shapes={"input_ids": dynamic, "attention_mask": dynamic},
    )
