# check: ex1/profile
# expect: right
# why: the three shapes are compared before TensorRT sees them, a set of names replaces the loop over indices
from itertools import pairwise


def ordered(*shapes):
    """Whether each shape is at most the next one, dimension by dimension."""
    return len({len(shape) for shape in shapes}) == 1 and all(
        a <= b for lower, upper in pairwise(shapes) for a, b in zip(lower, upper, strict=True)
    )


def add_profile(builder, config, network, smallest, usual, largest):
    """Add a profile with these shapes for every input of the network; return its index. ValueError if it is refused."""
    limits = tuple(map(tuple, (smallest, usual, largest)))
    if not ordered(*limits):
        raise ValueError(f"{limits} are not in ascending order")
    profile = builder.create_optimization_profile()
    for name in {network.get_input(number).name for number in range(network.num_inputs)}:
        profile.set_shape(name, *limits)
    match config.add_optimization_profile(profile):
        case -1:
            raise ValueError(f"TensorRT refused the profile {limits}")
        case index:
            return index
