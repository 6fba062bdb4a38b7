"""Does the winner change with compute? The comparison of Tay et al. 2022 (arXiv:2207.10551), on the embedded corpus.

    allometry run studies/architectures.py                    # all parts; resumes by itself
    allometry run studies/architectures.py --part causal      # one of them
    python studies/judge_architectures.py allometry-studies/architectures     # what became of the predictions

The paper trained ten-odd architectures of 15 million to 40 billion parameters on C4 with span corruption and found that the best
model changes with the compute, that the vanilla Transformer has the best slope, and that upstream loss does not tell
downstream accuracy. Here: the source of Python's standard library, byte by byte, four orders of magnitude smaller.

Parts
    causal         the twelve families that can be causal language models, four budgets, three sizes; fine-tuned on telling true
                   code from code with two operands exchanged
    span           encoder-decoders of all families under the paper's own objective, three budgets, three sizes (a tenth of the
                   FLOPs that were first written down, cut before it was run, so that two cores carry it)
    fixed-tokens   the paper's protocol, four sizes on the same tokens, four families
    downstream     six of the causal families at three small budgets, two seeds, fine-tuned as above: what two cores carry
    long, prose    length 1024, and a second corpus (prose: by path, ALLOMETRY_PROSE=file), as conditions on fewer families

Cost: causal 9e14 training FLOPs, 14 minutes on one H100 with 14 runs at a time, and by estimate six hours on two cores; the others
took 1.8 hours together, on two cores that did other work too. Two seeds at the small budgets are those of `downstream`; in
the other parts one cell of each family, at the smallest budget, has four.

Predictions, signed and with a margin, written down before the first run; judged on `causal` (and, where families are shared, on
`span`; the fifth also on `downstream`, which was added after `causal` had been run without usable fine-tunings, and before any
of its own). The paper's numbers are second-hand. "Slope" is -d ln(loss) / d ln(FLOPs) over the range that was run; intervals are
the report's (90 %); a difference of two slopes or gaps takes theirs as independent.
1. Performer's slope is smaller than the transformer's (paper: 0.25 against 0.54 in its own unit). Confirmed if by more than
   5 % of the transformer's and the interval of the difference is below 0; refuted if that interval is above 0.
2. The transformer's slope is the largest of all (paper: finding 2). Refuted if one family's is larger by more than 5 % and the
   interval of that difference is above 0; confirmed if every other family's is smaller so.
3. Sharing families (ALBERT, universal) lose more at larger compute (paper: finding 5): from the smallest to the largest
   budget the gap of their loss to the transformer's grows by more than 1 %, for both, with intervals above 0. Refuted if
   both intervals lie below 0.
4. The best family changes with the region (paper: finding 1): the report names a winner for the smallest and for the largest
   region of FLOPs, and they differ. Refuted if it names one and the same.
5. Upstream does not tell downstream (paper: finding 6): over families at the largest budget, the rank correlation of upstream
   loss (negative) with downstream accuracy is below 0.5, its interval (90 %, over seeds and texts) with it. Refuted if that lies
   above 0.8. (The interval was asked for before `downstream` was run, when noise alone was found to confirm this mostly.)
Whatever is neither confirmed nor refuted is "cannot tell".
"""

import os

from allometry import Request

CAUSAL = (
    "transformer", "geglu_transformer", "swiglu_transformer", "evolved_transformer", "universal_transformer",
    "switch_transformer", "performer", "albert", "mixture_of_softmaxes", "lightweight_convolution", "dynamic_convolution",
    "causal_mlp_mixer",
)  # fmt: skip
SPAN = (*CAUSAL[:-1], "adaptive_universal_transformer", "funnel_transformer", "mlp_mixer")
PROSE = os.environ.get("ALLOMETRY_PROSE")  # a file of prose; the part is left out without one

study = {
    "causal": Request(
        families=CAUSAL, flops=(3e11, 1e12, 3e12, 1e13), length=256, seeds=1, sizes=3, precision="fp32",
        downstream=("stdlib:operands",),
    ),
    "span": Request(families=SPAN, objective="span", flops=(3e10, 1e11, 3e11), length=256, seeds=1, sizes=3, precision="fp32"),
    "downstream": Request(
        families=("transformer", "performer", "albert", "evolved_transformer", "lightweight_convolution", "causal_mlp_mixer"),
        flops=(2e10, 6e10, 1.5e11), length=256, seeds=2, sizes=3, precision="fp32", downstream=("stdlib:operands",),
    ),
    "fixed-tokens": Request(
        families=("transformer", "performer", "evolved_transformer", "lightweight_convolution"), protocol="fixed-tokens",
        flops=(1e10, 1e11, 3e11, 1e12), length=256, seeds=1, precision="fp32",
    ),
    "long": Request(
        families=("transformer", "performer", "lightweight_convolution"), flops=(1.3e11, 2.6e11, 5.2e11), length=1024, seeds=1,
        sizes=3, precision="fp32",
    ),
}  # fmt: skip
if PROSE:
    study["prose"] = Request(
        sources=(PROSE,), families=CAUSAL[:4], flops=(3e10, 1e11, 3e11), length=256, seeds=1, sizes=3, precision="fp32"
    )
