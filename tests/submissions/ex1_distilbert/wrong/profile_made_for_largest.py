# check: ex1/profile
# expect: partly
# line: it is made for the usual shape
# points: 2.5
# why: the largest shape is given as the usual one
def add_profile(builder, config, network, smallest, usual, largest):
    """Add a profile with these shapes for every input of the network; return its index. ValueError if it is refused."""
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        profile.set_shape(network.get_input(i).name, smallest, largest, largest)
    index = config.add_optimization_profile(profile)
    if index < 0:
        raise ValueError(f"profile refused: expected {smallest} <= {usual} <= {largest} in every dimension")
    return index
