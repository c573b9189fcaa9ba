# check: ex2/profile
# expect: full
# why: compares before TensorRT does
def add_decode_profile(builder, config, network, rows, prompt, length):
    """Add a profile that covers whole generations; return its index. ValueError if it is refused."""
    smallest, usual, largest = rows
    if not smallest <= usual <= largest or not prompt <= length:
        raise ValueError(f'{rows}, {prompt}, {length} are not in order')
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        profile.set_shape(network.get_input(i).name, (smallest, prompt), (usual, length), (largest, length))
    index = config.add_optimization_profile(profile)
    if index < 0:
        raise ValueError("refused")
    return index
