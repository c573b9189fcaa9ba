# check: ex2/profile
# expect: wrong
# line: every step up to the last is served, which has length - 1 tokens
# why: takes the number of new tokens, length - prompt, for the longest sequence, so the last steps lie outside the profile.
def add_decode_profile(builder, config, network, rows, prompt, length):
    """Add a profile that covers whole generations; return its index. ValueError if it is refused."""
    new = max(prompt, length - prompt)
    profile = builder.create_optimization_profile()
    for name in INPUTS:
        profile.set_shape(name, (rows[0], prompt), (rows[1], new), (rows[2], new))
    index = config.add_optimization_profile(profile)
    if index < 0:
        raise ValueError("the profile was refused")
    return index
