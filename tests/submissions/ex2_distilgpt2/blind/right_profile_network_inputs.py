# check: ex2/profile
# expect: right
# why: loops over the network's own inputs, middle of the range as the usual length, checks the profile before adding it.
def add_decode_profile(builder, config, network, rows, prompt, length):
    """Add a profile that covers whole generations; return its index. ValueError if it is refused."""
    lengths = (prompt, (prompt + length) // 2, length)
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        tensor = network.get_input(i)
        profile.set_shape(tensor.name, *((r, t) for r, t in zip(rows, lengths, strict=True)))
    index = config.add_optimization_profile(profile) if profile else -1
    if index == -1:
        raise ValueError(f"no valid profile from rows {rows} and lengths {lengths}")
    return index
