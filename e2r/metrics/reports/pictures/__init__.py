"""Figures as pictures by matplotlib, the same bytes from the same data; one module a picture."""

from e2r.metrics.reports.pictures.quality import quality_against_cost
from e2r.metrics.reports.pictures.style import THEMES
from e2r.metrics.reports.pictures.sweep import Curve, write_sweeps
from e2r.metrics.reports.pictures.write import write_pictures

__all__ = ["THEMES", "Curve", "quality_against_cost", "write_pictures", "write_sweeps"]
