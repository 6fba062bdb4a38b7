"""Does chrono initialisation help on text? Tallec and Ollivier 2018 (arXiv:1804.11188) on text8: 1.37 against 1.38 bits.

    allometry run studies/text_clocks.py --part code          # the source of Python's standard library
    ALLOMETRY_PROSE=file allometry run studies/text_clocks.py --part prose

The LSTM family of the comparisons, started by the paper's longest time scale of text (8 steps), by one of 64, and as usual (forget
bias 1, which is 3.7 for every unit). Rates are tuned for each, budgets and seeds are shared, and the report has the intervals.
"""

import os
from typing import ClassVar

from torch import nn

from allometry import Request, chrono_
from allometry.flow import IO
from allometry.model.families.lstm import Lstm

HERE = os.path.relpath(__file__)  # so that the record holds no folder of this machine
PROSE = os.environ.get("ALLOMETRY_PROSE")  # a file of prose; the part is left out without one


class Chrono8(Lstm):
    """The LSTM whose units start with time scales from 2 to 8 steps."""

    longest: ClassVar[float] = 8.0

    def build(self, io: IO) -> nn.Module:
        return chrono_(super().build(io), t_max=self.longest)


class Chrono64(Chrono8):
    """From 2 to 64 steps."""

    longest: ClassVar[float] = 64.0


def request(source: str) -> Request:
    return Request(
        sources=(source,),
        families=("lstm", f"{HERE}:Chrono8", f"{HERE}:Chrono64"),
        flops=(1e10, 3e10, 1e11),
        length=256,
        seeds=3,
        sizes=3,
        precision="fp32",
    )


study = {"code": request("stdlib")} | ({"prose": request(PROSE)} if PROSE else {})
