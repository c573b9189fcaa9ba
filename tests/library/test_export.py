"""Export: what the file holds, that it computes the same, and what is said of a model that cannot be exported."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from helpers.export import ExportError, export_onnx, parity


class Mean(torch.nn.Module):
    """The smallest classifier: an embedding, averaged over the tokens that count."""

    def __init__(self, labels: int = 3) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(50, labels)

    def forward(self, input_ids, attention_mask):
        mask = attention_mask[..., None].to(torch.float32)
        return (self.table(input_ids) * mask).sum(1) / mask.sum(1)


class MeanWithExtras(Mean):
    def forward(self, input_ids, attention_mask):
        logits = super().forward(input_ids, attention_mask)
        return {"logits": logits, "probabilities": logits.softmax(-1)}["logits"], attention_mask.sum(1)


def dims(value: onnx.ValueInfoProto) -> list[str | int]:
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def test_graph_has_the_names_axes_and_opset_that_tensorrt_needs(fp32_onnx, classifier):
    proto = onnx.load(str(fp32_onnx))
    inputs = {value.name: value for value in proto.graph.input}
    assert list(inputs) == ["input_ids", "attention_mask"]
    for value in inputs.values():
        assert dims(value) == ["batch", "sequence"]
        assert value.type.tensor_type.elem_type == onnx.TensorProto.INT64
    (logits,) = proto.graph.output
    assert logits.name == "logits"
    assert dims(logits) == ["batch", classifier.model.config.num_labels]
    assert proto.graph.name == type(classifier.model).__name__
    assert [item.version for item in proto.opset_import if not item.domain] == [20]


def test_one_file_without_paths_of_this_machine(fp32_onnx, classifier):
    weights = sum(parameter.nbytes for parameter in classifier.model.parameters())
    assert fp32_onnx.stat().st_size > 0.9 * weights
    assert not list(fp32_onnx.parent.glob("*.data"))
    assert str(Path(torch.__file__).parent).encode() not in fp32_onnx.read_bytes()


def test_parity_over_shapes_that_the_example_did_not_have(fp32_onnx, classifier, make_batch):
    shapes = [(1, 2), (1, 64), (3, 17), (16, 64), (17, 5), (128, 64), (2, 512)]
    found = parity(classifier.model, fp32_onnx, [make_batch(*shape) for shape in shapes])
    assert found.max_abs_diff < 1e-4
    assert found.samples == sum(rows for rows, _ in shapes)
    assert found.label_agreement == 1.0


def test_parity_takes_tensors_and_finds_a_difference(tmp_path):
    torch.manual_seed(0)
    model = Mean().eval()
    path = export_onnx(model, tmp_path / "mean.onnx", max_batch=4, max_length=16)
    batch = (torch.arange(12).reshape(2, 6), torch.ones(2, 6, dtype=torch.int64))
    assert parity(model, path, [batch]).max_abs_diff < 1e-6
    with torch.no_grad():
        model.table.weight.add_(torch.tensor([0.5, 0.0, 0.0]))
    assert parity(model, path, [batch]).max_abs_diff == pytest.approx(0.5, abs=1e-5)
    with torch.no_grad():
        model.table.weight[0, 0] = torch.nan
    assert np.isnan(parity(model, path, [batch]).max_abs_diff)


def test_other_classifiers_and_outputs_beside_the_logits(tmp_path):
    model = MeanWithExtras().eval()
    path = export_onnx(model, tmp_path / "deep" / "er" / "model.onnx", max_batch=8, max_length=16)
    (output,) = onnx.load(str(path)).graph.output
    assert output.name == "logits"
    assert dims(output) == ["batch", 3]


def test_nothing_is_printed(tmp_path, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export_onnx(Mean().eval(), tmp_path / "mean.onnx", max_batch=4, max_length=16)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_training_mode_is_refused(tmp_path):
    model = torch.nn.Sequential(torch.nn.Dropout())
    with pytest.raises(ExportError, match=r"training mode.*model\.eval\(\)"):
        export_onnx(model, tmp_path / "m.onnx")
    model.eval()
    model[0].train()  # one layer is enough
    with pytest.raises(ExportError, match="training mode"):
        export_onnx(model, tmp_path / "m.onnx")


def test_sdpa_attention_is_refused(tmp_path):
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    config = DistilBertConfig(vocab_size=20, dim=8, hidden_dim=8, n_layers=1, n_heads=1)
    config._attn_implementation = "sdpa"
    model = DistilBertForSequenceClassification(config).eval()
    with pytest.raises(ExportError, match=r"'sdpa' attention.*attn_implementation='eager'"):
        export_onnx(model, tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"max_batch": 1}, "max_batch is 1.*at least 2"),
        ({"max_length": 1}, "max_length is 1.*at least 2"),
        ({"max_batch": True}, "max_batch is True"),
        ({"max_batch": 8.0}, "max_batch is 8.0.*integer"),
        ({"max_length": 513}, "position table has 512 rows"),
    ],
)
def test_limits_that_cannot_be(limits, said, classifier, tmp_path):
    with pytest.raises(ExportError, match=said):
        export_onnx(classifier.model, tmp_path / "m.onnx", **limits)


def test_not_a_model(classifier, tmp_path):
    with pytest.raises(ExportError, match=r"type Classifier.*pass its \.model"):
        export_onnx(classifier, tmp_path / "m.onnx")


def test_a_module_with_other_inputs_or_outputs(tmp_path):
    with pytest.raises(ExportError, match="cannot be called with input_ids and attention_mask"):
        export_onnx(torch.nn.Linear(2, 2).eval(), tmp_path / "m.onnx")

    class PerToken(Mean):
        def forward(self, input_ids, attention_mask):
            return self.table(input_ids) * attention_mask[..., None]

    with pytest.raises(ExportError, match=r"returns \[2, 8, 3\].*logits \[batch, labels\]"):
        export_onnx(PerToken().eval(), tmp_path / "m.onnx")

    class Words(Mean):
        def forward(self, input_ids, attention_mask):
            return "positive"

    with pytest.raises(ExportError, match="returns str"):
        export_onnx(Words().eval(), tmp_path / "m.onnx")


def test_an_axis_that_the_model_fixes_is_refused(tmp_path):
    class Fixed(Mean):
        def forward(self, input_ids, attention_mask):
            return super().forward(input_ids, attention_mask).reshape(2, 3)

    target = tmp_path / "m.onnx"
    target.write_bytes(b"the old file")
    with pytest.raises(ExportError, match=r"Axis 0 of input_ids came out as the constant 2"):
        export_onnx(Fixed().eval(), target)
    assert target.read_bytes() == b"the old file"
    assert list(tmp_path.iterdir()) == [target]


def test_an_input_that_is_never_read_stays_in_the_graph(tmp_path):
    class Maskless(Mean):
        def forward(self, input_ids, attention_mask):
            return self.table(input_ids).mean(1)

    path = export_onnx(Maskless().eval(), tmp_path / "m.onnx", max_batch=4, max_length=16)
    assert [value.name for value in onnx.load(str(path)).graph.input] == ["input_ids", "attention_mask"]


def test_paths_that_cannot_be_written(tmp_path):
    model = Mean().eval()
    with pytest.raises(ExportError, match="is a folder"):
        export_onnx(model, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="Cannot write"):
        export_onnx(model, tmp_path / "file" / "m.onnx", max_batch=4, max_length=16)


def test_parity_on_bad_input(fp32_onnx, classifier, make_batch, tmp_path):
    model = classifier.model
    ids, mask = make_batch(2, 4)
    with pytest.raises(ExportError, match="No ONNX file"):
        parity(model, tmp_path / "none.onnx", [(ids, mask)])
    (tmp_path / "cut.onnx").write_bytes(fp32_onnx.read_bytes()[:1000])
    with pytest.raises(ExportError, match="cannot open"):
        parity(model, tmp_path / "cut.onnx", [(ids, mask)])
    with pytest.raises(ExportError, match=r"input_ids is int32 \[2, 4\]. Expected int64"):
        parity(model, fp32_onnx, [(ids.astype(np.int32), mask)])
    with pytest.raises(ExportError, match="No batches"):
        parity(model, fp32_onnx, [])


# --- a decoder ---


def test_a_decoders_graph_has_a_sequence_axis_in_its_logits_or_none(decoder_onnx, last_step_onnx, generator):
    for path, wanted in ((decoder_onnx, ["batch", "sequence"]), (last_step_onnx, ["batch"])):
        proto = onnx.load(str(path))
        assert [(value.name, dims(value)) for value in proto.graph.input] == [
            ("input_ids", ["batch", "sequence"]),
            ("attention_mask", ["batch", "sequence"]),
        ]
        (logits,) = proto.graph.output
        assert logits.name == "logits" and dims(logits) == [*wanted, generator.vocabulary]
        assert [item.version for item in proto.opset_import if not item.domain] == [20]
        assert not list(path.parent.glob("*.data"))


@pytest.mark.parametrize("padding", ["left", "none", "all but one"])
def test_positions_are_counted_from_the_mask(decoder_onnx, last_step_onnx, generator, padding):
    """A row that is padded on the left has the logits of the same row alone."""
    import onnxruntime as ort

    random = np.random.default_rng(3)
    rows, length = 3, 11
    hidden = {"left": [4, 0, 1], "none": [0, 0, 0], "all but one": [10, 9, 10]}[padding]
    ids = random.integers(0, generator.vocabulary, (rows, length))
    mask = (np.arange(length) >= np.array(hidden)[:, None]).astype(np.int64)
    feeds = {"input_ids": ids, "attention_mask": mask}
    (full,) = ort.InferenceSession(str(decoder_onnx)).run(None, feeds)
    (last,) = ort.InferenceSession(str(last_step_onnx)).run(None, feeds)
    for row in range(rows):
        with torch.no_grad():
            alone = generator.model(input_ids=torch.from_numpy(ids[row : row + 1, hidden[row] :])).logits.numpy()[0]
        assert np.abs(full[row, hidden[row] :] - alone).max() < 1e-4
        assert np.abs(last[row] - alone[-1]).max() < 1e-4


def test_the_last_step_is_cut_out_before_the_last_product(last_step_onnx, generator):
    """The product with the vocabulary sees one position: that is what makes the graph cheaper, not the smaller output."""
    inferred = onnx.shape_inference.infer_shapes(onnx.load(str(last_step_onnx)), data_prop=True).graph
    shapes = {value.name: dims(value) for value in [*inferred.value_info, *inferred.output]}
    heads = [node for node in inferred.node if node.op_type in ("MatMul", "Gemm")]
    (head,) = [node for node in heads if shapes.get(node.output[0], [0])[-1] == generator.vocabulary]
    assert shapes[head.output[0]] in (["batch", 1, generator.vocabulary], ["batch", generator.vocabulary])


def test_what_is_no_decoder_is_refused(classifier, generator, tmp_path):
    from helpers.export import export_decoder

    path = tmp_path / "decoder.onnx"
    with pytest.raises(ExportError, match=r"is no decoder: its logits are \[2, 6\] for input_ids \[2, 8\]"):
        export_decoder(classifier.model, path)
    with pytest.raises(ExportError, match="position table has 256 rows"):
        export_decoder(generator.model, path, max_length=257)
    with pytest.raises(ExportError, match="max_batch is 1"):
        export_decoder(generator.model, path, max_batch=1)
    with pytest.raises(ExportError, match="is a folder"):
        export_decoder(generator.model, tmp_path)
    assert not path.exists()
