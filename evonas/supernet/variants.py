"""The kinds of saliency, by name; see `evonas.supernet.saliency`."""

VARIANTS = (
    "exact",
    "taylor",
    "fisher",
    "second-order",
    "magnitude",
    "removal",
    "main-effect",
    "rank-effect",
)
# Those that are fitted to what sampled children score.
OF_CHILDREN = ("main-effect", "rank-effect")

# Paths that operations are weighed in, and children whose losses effects are fitted to.
CONTEXTS, CHILDREN = 12, 300
# Children for each choice, at least: so many more than what is fitted.
CHILDREN_PER_CHOICE = 4
# Forward passes that a forward and a backward pass with gates for each image are worth.
BACKWARD = 3.0


def children_of(choices: int) -> int:
    """Children that the effects of so many choices are fitted to."""
    return max(CHILDREN, CHILDREN_PER_CHOICE * choices)


def passes_of(variant: str, n_var: int, choices: int) -> float:
    """About how many networks a table evaluates, each on all images that it is made with.

    Args:
        variant: one of `VARIANTS`.
        n_var: genes.
        choices: of all genes together.
    """
    if variant in OF_CHILDREN:
        return children_of(choices)
    if variant in ("exact", "removal"):
        return CONTEXTS * (n_var + 1)
    return CONTEXTS * BACKWARD
