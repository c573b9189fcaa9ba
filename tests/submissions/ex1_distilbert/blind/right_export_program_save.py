# check: ex1/export
# expect: right
# why: inputs go by keyword through a wrapper that returns the logits alone, and ONNXProgram.save writes the file
from torch import nn
from torch.export import Dim


class OnlyLogits(nn.Module):
    """transformers returns an object; ONNX wants tensors."""

    def __init__(self, classifier):
        super().__init__()
        self.classifier = classifier
        self.train(classifier.training)

    def forward(self, input_ids, attention_mask):
        reply = self.classifier(input_ids=input_ids, attention_mask=attention_mask)
        return getattr(reply, "logits", reply)


def export_onnx(model, path):
    """Write `model` to the ONNX file `path`: input_ids, attention_mask -> logits, batch and sequence dynamic."""
    where = next(model.parameters()).device
    ids = torch.arange(1, 4 * 24 + 1, device=where).reshape(4, 24) % model.config.vocab_size
    mask = torch.ones((4, 24), dtype=torch.int64, device=where)
    mask[1, 20:] = 0
    examples = {"input_ids": ids, "attention_mask": mask}

    batch, sequence = Dim("batch", min=1, max=256), Dim("sequence", min=2, max=512)
    program = torch.onnx.export(
        OnlyLogits(model),
        kwargs=examples,
        input_names=list(examples),
        output_names=["logits"],
        dynamic_shapes=dict.fromkeys(examples, (batch, sequence)),
        opset_version=20,
        dynamo=True,
        verbose=False,
    )
    program.save(Path(path), external_data=False)
