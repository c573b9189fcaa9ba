# check: ex2/profile
# expect: partly
# line: a profile that TensorRT refuses
# points: 2.5
# why: the index is not looked at
def add_decode_profile(builder, config, network, rows, prompt, length):
    """Add a profile that covers whole generations; return its index. ValueError if it is refused."""
    smallest, usual, largest = rows
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        profile.set_shape(network.get_input(i).name, (smallest, prompt), (usual, length), (largest, length))
    index = config.add_optimization_profile(profile)
    return index
