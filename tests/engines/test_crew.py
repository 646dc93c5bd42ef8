"""How many workers a cluster holds, and what is refused."""

from __future__ import annotations

import pytest

from e2r.engines.crew import Crew, crew_of, shares
from e2r.errors import UsageError
from e2r.records.spec import RaySpec

BOX = {"CPU": 8.0, "memory": 1e9}
GPU_BOX = {"CPU": 8.0, "GPU": 4.0}


def test_by_default_one_worker_a_gpu_else_one_a_cpu() -> None:
    assert crew_of(RaySpec(), [GPU_BOX, GPU_BOX], 100, computes=True) == Crew(8, 1, 1)
    assert crew_of(RaySpec(), [GPU_BOX, BOX], 100, computes=True) == Crew(4, 1, 1)
    assert crew_of(RaySpec(), [GPU_BOX], 100, computes=False) == Crew(8, 1, 0)
    assert crew_of(RaySpec(cpus=4), [BOX, BOX], 100, computes=True) == Crew(4, 4, 0)
    assert crew_of(RaySpec(cpus=0.1), [{"CPU": 1.0}], 100, computes=True) == Crew(10, 0.1, 0)
    assert crew_of(RaySpec(gpus=0.5), [GPU_BOX], 100, computes=True) == Crew(8, 1, 0.5)
    assert crew_of(RaySpec(gpus=0.6), [GPU_BOX], 100, computes=True) == Crew(4, 1, 0.6)


def test_never_more_workers_than_queries() -> None:
    assert crew_of(RaySpec(), [BOX], 3, computes=True).workers == 3
    assert crew_of(RaySpec(workers=5), [BOX], 3, computes=True).workers == 3


@pytest.mark.parametrize(
    ("asked", "nodes"),
    [
        (RaySpec(workers=9), [BOX]),
        (RaySpec(cpus=9), [BOX, BOX]),
        (RaySpec(gpus=1), [BOX]),
        (RaySpec(gpus=4, workers=2), [GPU_BOX]),
        (RaySpec(gpus=0.3, cpus=0.1, workers=13), [GPU_BOX]),
        (RaySpec(), []),
    ],
)
def test_what_cannot_fit_is_refused_with_both_sides(
    asked: RaySpec, nodes: list[dict[str, float]]
) -> None:
    with pytest.raises(UsageError, match=r"workers of .* CPUs .* has (\d × \(8 CPUs|no nodes)"):
        crew_of(asked, nodes, 100, computes=True)


def test_part_of_a_gpu_or_whole_ones() -> None:
    with pytest.raises(UsageError, match=r"--worker-gpus 1\.5"):
        crew_of(RaySpec(gpus=1.5), [GPU_BOX], 100, computes=True)


def test_shares_add_up() -> None:
    assert shares(10, 4) == [3, 3, 2, 2]
    assert shares(2, 3) == [1, 1, 0]
    assert shares(0, 2) == [0, 0]
