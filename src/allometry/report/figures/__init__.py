"""The figures, as plain JSON for plotly.js: drawing needs no plotting library here, so the report loads fast."""

from allometry.report.figures._figure import Figure
from allometry.report.figures.costs import parts_figure
from allometry.report.figures.isoflop import isoflop_figures
from allometry.report.figures.loss_against_cost import loss_figure
from allometry.report.figures.rates import rate_figures
from allometry.report.figures.training import position_figure, reach_figure, training_figure

__all__ = [
    "Figure",
    "isoflop_figures",
    "loss_figure",
    "parts_figure",
    "position_figure",
    "rate_figures",
    "reach_figure",
    "training_figure",
]
