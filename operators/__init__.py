"""pymoo operators for categorical genomes: sampling, selection, variation, duplicate elimination.

Each works in a plain pymoo program on any problem with integer bounds `xl`, `xu`; choices are
unordered. All randomness comes from the `random_state` that pymoo hands in.
"""

from pymoo.operators.crossover.ux import UniformCrossover

from evonas.operators.archive_selection import ArchiveSelection
from evonas.operators.categorical_distributions import (
    CategoricalDistributions,
    effective_sample_size,
    quantile_utility,
)
from evonas.operators.choice_mutation import ChoiceMutation, mutate_choices
from evonas.operators.choice_sampling import ChoiceSampling, sample_choices
from evonas.operators.distribution_sampling import DistributionSampling
from evonas.operators.saliency import best_genomes, main_effects, turning_prices
from evonas.operators.saliency_mutation import SaliencyMutation, mutate_by_saliency
from evonas.operators.saliency_sampling import SaliencySampling
from evonas.operators.seen_before import SeenBefore
from evonas.operators.spread import extreme_genomes
from evonas.operators.stratified_sampling import StratifiedSampling

# pymoo's uniform crossover is right for categories as it stands: it swaps whole genes with
# probability one half, keeps the integer dtype and draws from random_state only.

__all__ = [
    "ArchiveSelection",
    "CategoricalDistributions",
    "ChoiceMutation",
    "ChoiceSampling",
    "DistributionSampling",
    "SaliencyMutation",
    "SaliencySampling",
    "SeenBefore",
    "StratifiedSampling",
    "UniformCrossover",
    "best_genomes",
    "effective_sample_size",
    "extreme_genomes",
    "main_effects",
    "mutate_by_saliency",
    "mutate_choices",
    "quantile_utility",
    "sample_choices",
    "turning_prices",
]
