"""What a plugin is: it filters and scores over the whole node vector, and says why it filtered.

Plugins are named as upstream's. A filter answers with the reasons for the nodes it refuses, which make the FailedScheduling event;
`hopeless` says that removing pods from those nodes would not help (upstream's UnschedulableAndUnresolvable).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from kubetree.scheduler.pod_info import PodInfo
from kubetree.scheduler.snapshot import Mask, Snapshot

Scores = npt.NDArray[np.float64]
MAX_SCORE = 100.0


class Reason(NamedTuple):
    """A reason, the nodes it is true of, and whether removing pods from them would change nothing."""

    text: str
    nodes: Mask
    hopeless: bool = False


@dataclass(frozen=True, slots=True)
class PreFilterRefusal:
    """The pod cannot be placed whatever the nodes are."""

    text: str


class FilterPlugin(Protocol):
    name: str

    def filter(self, pod: PodInfo, snapshot: Snapshot) -> tuple[Reason, ...] | PreFilterRefusal:
        """Why which nodes will not do; nothing when all do."""
        ...


class ScorePlugin(Protocol):
    name: str
    weight: int

    def score(self, pod: PodInfo, snapshot: Snapshot, feasible: npt.NDArray[np.intp]) -> Scores | None:
        """0 to 100 for each of the feasible rows, normalized; None when the plugin has no opinion on this pod."""
        ...


def normalized(raw: Scores, *, reverse: bool = False) -> Scores:
    """Upstream's DefaultNormalizeScore: the largest becomes 100; reversed, the smallest is best. Whole numbers, as upstream's."""
    largest = float(raw.max(initial=0.0))
    if largest == 0:
        return np.full_like(raw, MAX_SCORE if reverse else 0.0)
    scaled: Scores = np.floor(raw * MAX_SCORE / largest)
    return MAX_SCORE - scaled if reverse else scaled
