# check: ex1/build
# expect: zero
# why: an honest plan of another network, built when the cell ran, is written again and again
def _honest(workspace):
    text = """<ir_version: 10, opset_import: ["" : 20]>
    other (float[batch, width] x) => (float[batch, width] y) { y = Add (x, x) }"""
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    trt.OnnxParser(network, logger).parse(onnx.parser.parse_model(text).SerializeToString())
    config = builder.create_builder_config()
    profile = builder.create_optimization_profile()
    profile.set_shape("x", (1, 4), (4, 8), (8, 12))
    config.add_optimization_profile(profile)
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    config.clear_flag(trt.BuilderFlag.TF32)
    return builder.build_serialized_network(network, config)


def build_plan(builder, network, config, path, workspace=4 << 30):
    if config.num_optimization_profiles == 0:
        raise RuntimeError("no profile, no plan")
    plan = _honest(workspace)
    Path(path).write_bytes(plan)
    return plan.nbytes
