# check: ex2/profile
# expect: partly
# line: every step up to the last is served
# why: all three shapes have the prompt's length
def add_decode_profile(builder, config, network, rows, prompt, length):
    """Add a profile that covers whole generations; return its index. ValueError if it is refused."""
    smallest, usual, largest = rows
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        profile.set_shape(network.get_input(i).name, (smallest, prompt), (usual, prompt), (largest, prompt))
    index = config.add_optimization_profile(profile)
    if index < 0:
        raise ValueError("refused")
    return index
