# check: ex2/profile
# expect: zero
# line: every input of the network is in the profile
# why: the first input alone
def add_decode_profile(builder, config, network, rows, prompt, length):
    """Add a profile that covers whole generations; return its index. ValueError if it is refused."""
    smallest, usual, largest = rows
    profile = builder.create_optimization_profile()
    for i in range(1):
        profile.set_shape(network.get_input(i).name, (smallest, prompt), (usual, length), (largest, length))
    index = config.add_optimization_profile(profile)
    if index < 0:
        raise ValueError("refused")
    return index
