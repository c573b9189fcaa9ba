# check: ex1/build
# expect: full
# why: a class with __call__, which looks whether TF32 is set; a subclass of RuntimeError
class BuildFailed(RuntimeError):
    pass


class Build:
    def settings(self, config, workspace):
        if config.get_flag(trt.BuilderFlag.TF32):
            config.clear_flag(trt.BuilderFlag.TF32)
        config.set_memory_pool_limit(pool=trt.MemoryPoolType.WORKSPACE, pool_size=workspace)
        return config

    def __call__(self, builder, network, config, path, workspace=4 << 30):
        plan = builder.build_serialized_network(network, self.settings(config, workspace))
        if plan is None:
            raise BuildFailed(str(path))
        data = memoryview(plan)
        Path(path).write_bytes(data)
        return int(plan.nbytes)


build_plan = Build()
