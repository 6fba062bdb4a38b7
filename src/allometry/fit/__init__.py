"""What it predicts: laws, their estimates with intervals, and what may be concluded. `al.fit(table)` is `estimate.fit`."""

from allometry.stage import called

called(__name__, "allometry.fit.estimate", "fit")
