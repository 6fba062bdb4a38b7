"""What to compare: from a request to runs. `al.study(...)` is `api.study`."""

from allometry.stage import called

called(__name__, "allometry.api", "study")
