"""Which class of device a run trains on: its own, or that of the workers of its cluster."""

from evonas.config import RunConfig
from evonas.device import kind_of

# What resumes a run without the cluster that it had.
OFF = "off"


def networks_trained_on(config: RunConfig, device: str | None = None) -> str:
    """Class of device, "cpu" or "cuda", that trains single networks.

    A machine without a GPU may drive others that have some, and the other way round.

    Args:
        config: what was said, or what is settled.
        device: of the run, resolved; by default that of the settings.
    """
    kind = kind_of(device or config.device)
    if config.ray in (None, OFF) or config.cluster.gpus is None:
        return kind
    return "cuda" if config.cluster.gpus else "cpu"


def weights_trained_on(config: RunConfig, device: str | None = None) -> str:
    """The same of shared weights; arguments as of `networks_trained_on`."""
    if config.cluster.training_workers is None:
        return kind_of(device or config.device)
    return networks_trained_on(config, device)
