"""What it could compute: circuits of threshold units and gates, how many functions each realises, and what theory says of it.

`al.capacity("output_gating", 4)` is `count.capacity`.
"""

from allometry.stage import called

called(__name__, "allometry.capacity.count", "capacity")
