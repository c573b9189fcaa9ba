# check: ex2/profile
# expect: full
# why: one for prompts, one for what comes behind them
def add_decode_profile(builder, config, network, rows, prompt, length):
    indices = []
    for low, high in ((prompt, prompt + 1), (prompt + 1, length)):
        profile = builder.create_optimization_profile()
        for name in ("input_ids", "attention_mask"):
            profile.set_shape(name, min=(rows[0], low), opt=(rows[1], low), max=(rows[2], high))
        indices.append(config.add_optimization_profile(profile))
        if indices[-1] == -1:
            raise ValueError(f"TensorRT refuses {rows}")
    return indices[0]
