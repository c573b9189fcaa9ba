# check: ex2/profile
# expect: full
# keys: 20
# why: from a single token to twice the length
def add_decode_profile(builder, config, network, rows, prompt, length):
    """Add a profile that covers whole generations; return its index. ValueError if it is refused."""
    smallest, usual, largest = rows
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        profile.set_shape(network.get_input(i).name, (1, 1), (usual, prompt), (largest + 3, 2 * length))
    index = config.add_optimization_profile(profile)
    if index < 0:
        raise ValueError("refused")
    return index
