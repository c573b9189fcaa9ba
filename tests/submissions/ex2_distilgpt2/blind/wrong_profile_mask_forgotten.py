# check: ex2/profile
# expect: wrong
# line: every input of the network is in the profile, and the network builds with it
# why: only input_ids gets a range; attention_mask is dynamic as well, so the profile does not cover any step and the build fails.
def add_decode_profile(builder, config, network, rows, prompt, length):
    """Add a profile that covers whole generations; return its index. ValueError if it is refused."""
    profile = builder.create_optimization_profile()
    profile.set_shape("input_ids", (rows[0], prompt), (rows[1], length), (rows[2], length))
    index = config.add_optimization_profile(profile)
    if index < 0:
        raise ValueError("the profile was refused")
    return index
