"""The kinds of saliency, by name; see `evonas.supernet.saliency`."""

VARIANTS = (
    "exact",
    "taylor",
    "fisher",
    "second-order",
    "magnitude",
    "removal",
    "main-effect",
)
