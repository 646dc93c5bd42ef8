"""How many workers a cluster holds, and what each of them is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from e2r.errors import UsageError
from e2r.records.spec import RaySpec

Nodes = Sequence[Mapping[str, float]]
"""What each node of a cluster has, as Ray names it: CPU, GPU …"""


@dataclass(frozen=True)
class Crew:
    """So many workers, each with its CPUs and GPUs."""

    workers: int
    cpus: float
    gpus: float

    def __str__(self) -> str:
        return f"{self.workers} workers of {self.cpus:g} CPUs and {self.gpus:g} GPUs"


def crew_of(asked: RaySpec, nodes: Nodes, queries: int, *, computes: bool) -> Crew:
    """The workers to start: as many as are asked for, or as fit; never more than queries.

    `computes` says whether the model may compute on GPUs of its worker. Raises UsageError where
    what is asked does not fit into the cluster, however idle.
    """
    gpus = asked.gpus
    if gpus is None:
        gpus = 1.0 if computes and any(node.get("GPU") for node in nodes) else 0.0
    if gpus > 1 and gpus != int(gpus):
        raise UsageError(f"--worker-gpus {gpus:g}: give a part of one GPU, or whole ones")
    room = sum(_room(node, asked.cpus, gpus) for node in nodes)
    wanted = Crew(asked.workers or max(room, 1), asked.cpus, gpus)
    if wanted.workers > room:
        raise UsageError(
            f"{wanted} do not fit into the cluster, which has {describe(nodes)}; ask for less by "
            "--workers, --worker-cpus or --worker-gpus, or add nodes"
        )
    return Crew(min(wanted.workers, queries), wanted.cpus, wanted.gpus)


def describe(nodes: Nodes) -> str:
    """What the nodes have, those that are alike together."""
    kinds = Counter((node.get("CPU", 0.0), node.get("GPU", 0.0)) for node in nodes)
    told = [f"{n} × ({cpus:g} CPUs, {gpus:g} GPUs)" for (cpus, gpus), n in kinds.items()]
    return " + ".join(told) or "no nodes"


def shares(total: int, workers: int) -> list[int]:
    """A total in whole shares, one a worker; the first take what cannot be divided."""
    return [total // workers + (number < total % workers) for number in range(workers)]


def _room(node: Mapping[str, float], cpus: float, gpus: float) -> int:
    """How many workers a node holds; Ray counts in parts of 1/10000."""
    room = int(node.get("CPU", 0.0) / cpus + 1e-4)
    if not gpus:
        return room
    cards = int(node.get("GPU", 0.0))
    # A part of a GPU is a part of one GPU.
    return min(room, cards * int(1 / gpus + 1e-4) if gpus < 1 else int(cards / gpus + 1e-4))
