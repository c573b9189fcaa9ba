# check: ex2/profile
# expect: right
# why: the largest sequence is length - 1, because the last token chosen is never fed in; every step of every generation is still covered.
def add_decode_profile(builder, config, network, rows, prompt, length):
    """Add a profile that covers whole generations; return its index. ValueError if it is refused."""
    if length < prompt:
        raise ValueError(f"a prompt of {prompt} tokens is longer than {length}")
    few, usual, many = rows
    longest = max(prompt, length - 1)
    profile = builder.create_optimization_profile()
    for name in ("input_ids", "attention_mask"):
        profile.set_shape(name, (few, prompt), (usual, longest), (many, longest))
    index = config.add_optimization_profile(profile)
    if index < 0:
        raise ValueError(f"refused: {rows}, {prompt} to {longest} tokens")
    return index
