"""Selection that takes some of the parents from the best of all that was ever evaluated."""

from typing import Any

import numpy as np
from pymoo.core.selection import Selection
from pymoo.operators.survival.rank_and_crowding.metrics import get_crowding_function


def crowding_weights(F: np.ndarray) -> np.ndarray:
    """Probabilities in proportion to the crowding distance (Deb et al., 2002).

    Members of a dense part are many, so that alike they would all be made to look there.

    Args:
        F: objectives of non-dominated points, (n, n_obj).

    Returns:
        (n,), sum 1; the ends of a front weigh as much as its loneliest point.
    """
    distance = get_crowding_function("cd").do(F)
    finite = np.isfinite(distance)
    if not finite.any() or distance[finite].max() <= 0:
        return np.full(len(F), 1 / len(F))
    distance = np.where(finite, distance, distance[finite].max())
    return distance / distance.sum()


class ArchiveSelection(Selection):
    """Another selection, some of whose matings take their parents from the algorithm's archive.

    A small population holds a part of the front only. What its survival cuts off is as good as
    what it keeps, and its neighbours are as likely to be optimal: with the archive's members
    among the parents they are looked at too. The algorithm needs an archive, such as
    `NSGA2(archive=MultiObjectiveArchive(max_size=None, truncate_size=None), ...)`.
    """

    def __init__(self, selection: Selection, *, share: float = 0.5) -> None:
        """Store the settings.

        Args:
            selection: chooses the other parents, from the population.
            share: of the matings whose parents all come from the archive; a member is drawn the
                more often, the fewer neighbours it has on the front.

        Raises:
            ValueError: the share lies outside 0 to 1.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"share={share} is no share; give a number from 0 to 1")
        super().__init__()
        self.selection = selection
        self.share = share

    def _do(
        self,
        problem: Any,
        pop: Any,
        n_select: int,
        n_parents: int,
        *args: Any,
        random_state: np.random.Generator,
        algorithm: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Parents, individuals (n_select, n_parents).

        Raises:
            ValueError: the algorithm has no archive.
        """
        archive = getattr(algorithm, "archive", None)
        if archive is None:
            raise ValueError(
                "ArchiveSelection needs an algorithm with an archive; give it "
                "archive=MultiObjectiveArchive(max_size=None, truncate_size=None)"
            )
        parents = self.selection.do(
            problem,
            pop,
            n_select,
            n_parents,
            *args,
            random_state=random_state,
            algorithm=algorithm,
            **kwargs,
        )
        if len(archive):
            archived = random_state.random(n_select) < self.share
            shape = (int(archived.sum()), n_parents)
            weights = crowding_weights(archive.get("F"))
            drawn = random_state.choice(len(archive), size=shape, p=weights)
            parents[archived] = np.asarray(archive)[drawn]
        return parents
