"""Small recorded runs for the tests of the metrics."""

from tests.metrics.recorded_runs import make_run

__all__ = ["make_run"]
