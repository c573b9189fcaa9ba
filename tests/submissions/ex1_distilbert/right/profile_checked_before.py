# check: ex1/profile
# expect: full
# why: the order of the shapes is examined before TensorRT is asked
def add_profile(builder, config, network, smallest, usual, largest):
    for low, middle, high in zip(smallest, usual, largest, strict=True):
        if not low <= middle <= high:
            raise ValueError(f"{low} <= {middle} <= {high} does not hold")
    profile = builder.create_optimization_profile()
    names = (network.get_input(i).name for i in range(network.num_inputs))
    for name in names:
        profile.set_shape(name, smallest, usual, largest)
    return config.add_optimization_profile(profile)
