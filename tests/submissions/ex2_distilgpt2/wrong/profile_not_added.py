# check: ex2/profile
# expect: zero
# line: every input of the network is in the profile
# line: a profile is added
# why: the profile is made and not handed to the config
def add_decode_profile(builder, config, network, rows, prompt, length):
    """Add a profile that covers whole generations; return its index. ValueError if it is refused."""
    smallest, usual, largest = rows
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        profile.set_shape(network.get_input(i).name, (smallest, prompt), (usual, length), (largest, length))
    index = 0
    if index < 0:
        raise ValueError("refused")
    return index
