# check: ex1/build
# expect: wrong
# line: TF32 is off
# points: 3
# note: line and points were added after the first contact, by the corpus's author, with sight of the checks
# why: the config is finished after the build: TF32 is switched off when the plan is made already
def build_plan(builder, network, config, path, workspace=4 << 30):
    """Build and write the plan; return its number of bytes. RuntimeError, and the old file untouched, if it fails."""
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    plan = builder.build_serialized_network(network, config)
    config.clear_flag(trt.BuilderFlag.TF32)
    if plan is None:
        raise RuntimeError(f"TensorRT could not build {path}")
    with open(path, "wb") as f:
        f.write(plan)
    return plan.nbytes
