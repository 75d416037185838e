"""Architecture saliency: what each choice of each gene is worth to a trained supernet.

Source: Hao, Cai, Li, Zhu, "Saliency: a new selection criterion of important architectures in neural
architecture search", Neural Computing and Applications 34 (2022): the squared change of the loss
when an operation is removed, and Taylor expansions of it. Its roots are Optimal Brain Damage (LeCun
et al., 1989) and the Fisher diagonal (Theis et al., 2018).
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import rankdata
from torch import Tensor
from torch.nn import functional as F

from evonas.errors import InputError, unknown
from evonas.operators.saliency import main_effects
from evonas.spaces.space import FloatArray, IntArray
from evonas.supernet.paths import FairPaths
from evonas.supernet.supernet import Supernet
from evonas.supernet.variants import CONTEXTS, OF_CHILDREN, VARIANTS, children_of
from evonas.training.trainer import half_size

Batches = int | Collection[int] | Iterable[tuple[Tensor, Tensor]]
Images = Sequence[tuple[Tensor, Tensor]]
Removal = Literal["zero", "renormalise"]


def saliency_table(
    supernet: Supernet,
    batches: Batches,
    variant: str = "fisher",
    *,
    contexts: int | npt.ArrayLike | None = None,
    gates: npt.ArrayLike | None = None,
    removal: Removal = "zero",
    group: int = 1,
    half_resolution: bool = False,
    seed: int = 0,
) -> FloatArray:
    """The saliency of every choice of every gene; higher is worth more.

    An operation k of gene j has a gate a that multiplies its output: 1 in a path that holds it, or
    its weight in a mixture. With L the mean loss, g its derivative by the gate and g_n that of
    image n alone, a choice scores

    - ``exact``: (L - L[a := 0])^2, a forward pass for each operation;
    - ``taylor``: (a g)^2, the square of the mean gradient;
    - ``fisher``: mean over images of (a g_n)^2;
    - ``second-order``: (-a g + a^2 F / 2)^2 with F the mean of g_n^2, the Fisher diagonal;
    - ``magnitude``: a, what DARTS goes by; of a path it says nothing, being 1;
    - ``removal``: L[a := 0] - L, signed: what hurts most when it is removed is worth most;
    - ``main-effect``: of the choice on the loss of sampled paths, by least squares on one-hot
      genes; it compares a choice with the others of its gene, not with nothing;
    - ``rank-effect``: the same on the rank of the loss among these paths, a share from 0 to 1 (the
      rank transformation of Conover and Iman, The American Statistician 35, 1981): a few networks
      that do not work at all, such as cells that are cut off, then weigh no more than others.

    Of paths, scores are means over the sampled ones that hold the choice. Where a layer has a
    skip, the gate multiplies the branch and the skip stays; an identity and a zero have nothing to
    remove and score 0. Where there is no skip, removing cuts the stream, and every choice looks
    vital: compare within a gene. Where softmax weights of a mixture are stationary on the scored
    images, all g of a gene are equal, so that ``taylor`` ranks as ``magnitude`` does, and the
    first-order effect of removing with renormalisation is zero.

    ``taylor``, ``fisher`` and ``second-order`` take one forward and one backward pass over the
    images for each path: gates of each image are variables of their own, and one backward pass
    gives all their gradients. Normalisation uses the statistics of the batch, so the gradient of
    an image's gate contains what it does to the others of its batch. All but ``main-effect`` and
    ``rank-effect`` are computed in full precision; in these, paths are scored as
    `Supernet.evaluate` scores networks.

    Args:
        supernet: trained. Of a restricted space only the choices left are scored.
        batches: images to score on: a number of validation batches (the first ones), which of
            them, or pairs of normalised images float (n, channels, height, width) and labels int
            (n,).
        variant: one of the above.
        contexts: how many paths to sample, each choice of a gene equally often (by default 12,
            for effects on sampled paths 300, or more where genes have many choices), or genomes int
            (n, n_var) in the space's numbering.
        gates: float (n_var, max choices) in the numbering of the base space: score the operations
            of this mixture, and not of paths.
        removal: of a mixture, whether the weights of the other choices of the gene stay ("zero")
            or are scaled so that their sum stays ("renormalise").
        group: images whose gradients are averaged before they are squared, 1 or more; F of
            `second-order` is of the same groups.
        half_resolution: whether images are scored at half their side, as the first steps of a
            training may see them.
        seed: of the sampled paths.

    Returns:
        float64 (n_var, max choices) in the numbering of the base space; NaN where a gene has no
        such choice, or the space does not hold it.

    Raises:
        InputError: an argument is none of these, or does not fit the others.
    """
    if variant not in VARIANTS:
        raise unknown("saliency", variant, VARIANTS)
    if removal not in ("zero", "renormalise"):
        raise InputError(f"removal is '{removal}'; give 'zero' or 'renormalise'")
    if not isinstance(group, int | np.integer) or group < 1:
        raise InputError(f"group is {group}; give a number of images of at least 1")
    images = _images(supernet, batches, half_resolution)
    if gates is not None:
        weights = _checked_gates(supernet, gates)
        if removal == "renormalise":
            _check_others(weights)
        if variant in OF_CHILDREN:
            raise InputError(f"saliency '{variant}' is of paths, not of a mixture; leave gates out")
        return _checked(supernet, _scores(supernet, images, weights, variant, removal, group))
    if removal != "zero":
        raise InputError(
            "a path has one choice of each gene, and no other to take over its weight; give gates, "
            "or leave removal='renormalise' out"
        )
    space = supernet.space
    if variant in OF_CHILDREN:
        children = children_of(int(space.n_choices.sum())) if contexts is None else contexts
        X = sample_contexts(supernet, children, seed)
        return _effects(supernet, images, X, ranked=variant == "rank-effect")
    X = sample_contexts(supernet, CONTEXTS if contexts is None else contexts, seed)
    held = _one_hot(supernet, X)
    scores = np.stack([_scores(supernet, images, gates, variant, removal, group) for gates in held])
    return _checked(supernet, (scores * held).sum(0) / np.maximum(held.sum(0), 1))


def _checked(supernet: Supernet, scores: FloatArray) -> FloatArray:
    """Finite scores, NaN where the space holds no choice."""
    allowed = supernet.space.allowed
    if not np.isfinite(scores[allowed]).all():
        raise InputError(
            "saliency is not finite: the shared weights have diverged; train again with a smaller "
            "--training.lr"
        )
    return np.where(allowed, scores, np.nan)


def removal_effects(
    supernet: Supernet, batches: Batches, X: npt.ArrayLike, *, half_resolution: bool = False
) -> FloatArray:
    """By how much the loss of paths rises when one of their operations is removed.

    Args:
        supernet: trained.
        batches: images to score on, as of `saliency_table`.
        X: genomes int (n, n_var) in the space's numbering.
        half_resolution: whether images are scored at half their side.

    Returns:
        Nats, float64 (n, n_var); below 0 where the removal helps, 0 where there is nothing to
        remove.
    """
    images = _images(supernet, batches, half_resolution)
    held = _one_hot(supernet, supernet.space.lift(X))
    return np.stack([_removals(supernet, images, gates, "zero").sum(1) for gates in held])


def _scores(
    supernet: Supernet,
    images: Images,
    gates: FloatArray,
    variant: str,
    removal: Removal,
    group: int,
) -> FloatArray:
    """Scores (n_var, max choices) of the operations of one mixture; zero where gates are zero."""
    if variant == "magnitude":
        return gates
    if variant in ("exact", "removal"):
        change = _removals(supernet, images, gates, removal)
        return change if variant == "removal" else change**2
    mean, square = _first_order(supernet, images, gates, removal, group)
    if variant == "fisher":
        return square
    return mean**2 if variant == "taylor" else (mean + square / 2) ** 2


def _removals(
    supernet: Supernet, images: Images, gates: FloatArray, removal: Removal
) -> FloatArray:
    """Change of the mean loss by the removal of each operation; a forward pass for each."""
    cells = np.argwhere(supernet.network.weighable & (gates != 0))
    altered = [gates]
    for gene, choice in cells:
        without = gates.copy()
        without[gene, choice] = 0
        if removal == "renormalise":
            total = gates[gene].sum()
            without[gene] *= total / (total - gates[gene, choice])
        altered.append(without)
    skips = _skips(supernet, gates)
    losses = np.zeros(len(altered))
    count = 0
    with torch.no_grad():
        for batch, labels in images:
            for i, weights in enumerate(altered):
                logits = supernet.network.mixture(batch, _on(supernet, weights), skips)
                losses[i] += F.cross_entropy(logits, labels, reduction="sum").item()
            count += len(labels)
    change = np.zeros_like(gates)
    change[tuple(cells.T)] = (losses[1:] - losses[0]) / count
    return change


def _first_order(
    supernet: Supernet, images: Images, gates: FloatArray, removal: Removal, group: int
) -> tuple[FloatArray, FloatArray]:
    """What the removal of each operation changes to first order: its mean, and mean square.

    Both (n_var, max choices): over images, and over groups of them.
    """
    weights, skips = _on(supernet, gates), _skips(supernet, gates)
    weighable = torch.as_tensor(supernet.network.weighable, device=supernet.device)
    mean = torch.zeros_like(weights, dtype=torch.float64)
    square = torch.zeros_like(mean)
    count = groups = 0
    for batch, labels in images:
        each = weights.expand(len(labels), *weights.shape).clone().requires_grad_()
        with torch.enable_grad():
            logits = supernet.network.mixture(batch, each, skips)
            loss = F.cross_entropy(logits, labels, reduction="sum")
            # a cell may be cut off from its network, and hand nothing to any gate
            (gradient,) = torch.autograd.grad(loss, each, allow_unused=True, materialize_grads=True)
        change = -weights * gradient
        if removal == "renormalise":
            total = weights.sum(-1, keepdim=True)
            kept = (weights * gradient).sum(-1, keepdim=True) + change
            # what has no weight changes nothing by going
            change = change + torch.where(weights == 0, 0, weights * kept / (total - weights))
        change = torch.where(weighable, change, 0)  # what computes nothing changes nothing
        parts = [part.mean(0) for part in change.split(group)]
        mean += change.sum(0)
        square += torch.stack(parts).double().square().sum(0)
        count, groups = count + len(labels), groups + len(parts)
    return (mean / count).cpu().numpy(), (square / groups).cpu().numpy()


def _effects(supernet: Supernet, images: Images, X: IntArray, *, ranked: bool) -> FloatArray:
    """Minus the effects of choices on the loss or its rank, which sum to zero in each gene."""
    distinct, where = np.unique(X, axis=0, return_inverse=True)
    losses = supernet.score([tuple(x) for x in distinct.tolist()], images)[where.reshape(-1), 1]
    if ranked:
        losses = rankdata(losses) / len(losses)
    space = supernet.space
    try:
        effects = main_effects(space.lower(X), losses, space.n_choices)
    except ValueError as error:
        raise InputError(f"{error} contexts") from None
    return space.lift_table(-effects)


def _images(supernet: Supernet, batches: Batches, half_resolution: bool) -> Images:
    """Batches of images as given, or those of the validation images that were named."""
    images = _full_size_images(supernet, batches)
    return [(half_size(part), labels) for part, labels in images] if half_resolution else images


def _full_size_images(supernet: Supernet, batches: Batches) -> Images:
    if isinstance(batches, int | np.integer):
        batches = range(int(batches))
    if not isinstance(batches, Iterable):
        raise InputError(
            f"batches to score saliency on are {batches!r}; give a number of validation batches, "
            "some of them, or pairs of images and labels"
        )
    given: list[Any] = list(batches)
    if not given:
        raise InputError("no batch to score saliency on; give one or more")
    if all(isinstance(batch, int | np.integer) for batch in given):
        return list(supernet.batches(given))
    images = []
    for batch in given:
        try:
            first, second = batch
            part = torch.as_tensor(first, device=supernet.device)
            labels = torch.as_tensor(second, device=supernet.device)
        except (TypeError, ValueError):
            raise InputError(
                "batches to score saliency on are pairs of images and labels, or numbers of "
                "validation batches"
            ) from None
        if not part.is_floating_point() or part.shape[1:] != supernet.space.input_shape:
            raise InputError(
                f"a batch holds images {part.dtype} {tuple(part.shape)}; give normalised floats "
                f"(n, {', '.join(map(str, supernet.space.input_shape))})"
            )
        if labels.shape != part.shape[:1]:
            raise InputError(f"a batch has {len(part)} images and labels {tuple(labels.shape)}")
        if not len(part):
            raise InputError("a batch to score saliency on holds no image; leave it out")
        classes = supernet.space.num_classes
        if labels.is_floating_point() or not ((labels >= 0) & (labels < classes)).all():
            raise InputError(f"labels of a batch are no integers from 0 to {classes - 1}")
        dtype = next(supernet.network.parameters()).dtype
        images.append((part.to(dtype), labels.long()))
    return images


def sample_contexts(supernet: Supernet, contexts: int | npt.ArrayLike, seed: int) -> IntArray:
    """Paths (n, n_var) in the numbering of the base space: given ones, or fairly sampled ones.

    Args:
        supernet: gives the space.
        contexts: how many, or genomes in the space's own numbering.
        seed: of the sampled ones.

    Raises:
        InputError: there is none, or they leave out a choice.
    """
    space = supernet.space
    if isinstance(contexts, int | np.integer):
        if contexts < 1:
            raise InputError(f"contexts is {contexts}; give at least 1 path")
        random_state = np.random.default_rng(seed)
        draws = -(-int(contexts) // int(space.n_choices.max()))
        X = np.vstack([FairPaths().sample(space, random_state) for _ in range(draws)])
    else:
        X = space.check(contexts)
    held = _one_hot(supernet, space.lift(X)).any(axis=0)
    missing = np.argwhere(space.allowed & ~held)
    if len(missing):
        gene, choice = missing[0]
        raise InputError(
            f"no path holds choice {choice} of gene {gene}, so that nothing is known of it; give "
            "more contexts"
        )
    return space.lift(X)


def _checked_gates(supernet: Supernet, gates: npt.ArrayLike) -> FloatArray:
    try:
        weights = np.array(gates, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("gates hold something that is no number") from None
    allowed = supernet.space.allowed
    if weights.shape != allowed.shape:
        raise InputError(
            f"gates have shape {weights.shape}; the space '{supernet.space.name}' needs "
            f"{allowed.shape}: genes and choices"
        )
    if not np.isfinite(weights[allowed]).all():
        gene, choice = np.argwhere(allowed & ~np.isfinite(weights))[0]
        raise InputError(f"the gate of gene {gene}, choice {choice} is no finite number; give one")
    return np.where(allowed, weights, 0.0)


def _check_others(gates: FloatArray) -> None:
    """Refuse a gene of which one choice has all the weight."""
    alone = np.argwhere((gates != 0) & (np.abs(gates.sum(1, keepdims=True) - gates) < 1e-12))
    if len(alone):
        gene, choice = alone[0]
        raise InputError(
            f"choice {choice} has all the weight of gene {gene}, and no other can take it over; "
            "give removal='zero'"
        )


def _one_hot(supernet: Supernet, X: IntArray) -> FloatArray:
    """Gates of paths in the numbering of the base space, (n, n_var, max choices)."""
    return (X[:, :, None] == np.arange(supernet.space.allowed.shape[1])).astype(np.float64)


def _on(supernet: Supernet, gates: FloatArray) -> Tensor:
    """Gates in the precision and on the device of the weights."""
    dtype = next(supernet.network.parameters()).dtype
    return torch.as_tensor(gates, dtype=dtype, device=supernet.device)


def _skips(supernet: Supernet, gates: FloatArray) -> Tensor:
    return supernet.network.skips(_on(supernet, gates))
