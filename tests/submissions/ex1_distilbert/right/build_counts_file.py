# check: ex1/build
# expect: full
# why: the number of bytes that write() reports is returned: the size of the file
def build_plan(builder, network, config, path, workspace=4 << 30):
    config.clear_flag(trt.BuilderFlag.TF32)
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise RuntimeError("build failed")
    with open(path, "wb") as file:
        return file.write(bytes(plan))
