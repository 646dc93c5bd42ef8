"""What runs are worth: effectiveness, cost, RPP and QPP, each with its interval."""

from e2r.metrics.evaluation import Evaluation, evaluate
from e2r.metrics.row import Row

__all__ = ["Evaluation", "Row", "evaluate"]
