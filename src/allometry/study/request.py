"""Request: what was asked of a study. Two requests that differ in minutes alone are one study, asked to go on."""

import re
from pathlib import Path

from allometry.flow import SCALES, Refusal
from allometry.spec import Spec, content_id
from allometry.study.design import TUNE_SEED

FOUR = ("transformer", "lstm", "performer", "lightweight_convolution")
PROTOCOLS = ("frontier", "fixed-tokens")
OBJECTIVES = {"causal": "text", "span": "spans"}  # and the tasks that ask them
LAST_SEED = TUNE_SEED - 1  # of those that are scored


class Request(Spec):
    """A comparison of families on data. Exactly one of `minutes` and `flops` says how much compute it may take."""

    sources: tuple[str, ...] = ("stdlib",)  # files, folders, hf:name, or stdlib
    families: tuple[str, ...] = FOUR  # names, or path/to/file.py:Class
    minutes: float | None = None  # of wall time, from the start of the command to the report
    flops: tuple[float, ...] = ()  # training FLOPs of each budget
    protocol: str = "frontier"  # frontier: the best size at each compute; fixed-tokens: every size on the same tokens
    objective: str = "causal"  # causal: predict the next token; span: an encoder-decoder fills in what is missing
    scale: str = "both"  # what grows with the size: both | width | depth
    downstream: tuple[str, ...] = ()  # labelled sets that every scored run is fine-tuned on: files, or stdlib:operands ...
    length: int = 0  # tokens in a sequence; 0: by the time that is given
    batch: int = 0  # sequences in a step; 0: follows the budget
    seeds: int = 0  # scored seeds of each cell; 0: as many as the time carries
    sizes: int = 0  # sizes for each budget; 0: as many as the time carries
    tokenizer: str = "bytes"  # bytes, or bpe:4096
    text_key: str = "text"  # of .jsonl
    text_column: str | None = None  # of .csv and .parquet
    precision: str = "auto"  # auto | fp32 | bf16
    device: str = "auto"  # auto | cpu | cuda
    jobs: int = 0  # runs at the same time; 0: one for each core of a CPU, one on a GPU
    seed: int = 0  # the first scored seed

    def __post_init__(self) -> None:
        if self.minutes is not None and not 0 < self.minutes < 1e7:  # nan too
            raise Refusal(f"--minutes {self.minutes:g} is no time. Give a positive number of minutes.")
        super().__post_init__()
        if (self.minutes is None) == (not self.flops):
            raise Refusal("A study needs exactly one of --minutes and --flops. Try --minutes 5.")
        if any(c <= 0 for c in self.flops) or len(set(self.flops)) != len(self.flops):
            raise Refusal("--flops takes different positive numbers, for example --flops 2e10,6e10,2e11,6e11.")
        if self.protocol not in PROTOCOLS:
            raise Refusal(f"--protocol {self.protocol} is not known. It is one of: {', '.join(PROTOCOLS)}.")
        if self.objective not in OBJECTIVES:
            raise Refusal(f"--objective {self.objective} is not known. It is one of: {', '.join(OBJECTIVES)}.")
        if self.precision not in ("auto", "fp32", "bf16"):
            raise Refusal(f"--precision {self.precision} is not known. It is one of: auto, fp32, bf16.")
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise Refusal(f"--device {self.device} is not known. It is one of: auto, cpu, cuda.")
        if not self.families or len(set(self.families)) != len(self.families):
            raise Refusal("--families takes one or more different names, separated by commas.")
        if not 0 <= self.seed <= LAST_SEED - max(self.seeds, 10):
            raise Refusal(
                f"--seed {self.seed} with {self.seeds or 'the usual'} seeds: scored seeds lie from 0 to {LAST_SEED}."
            )
        if self.scale not in SCALES:
            raise Refusal(f"--scale {self.scale} is not known. It is one of: {', '.join(SCALES)}.")
        if len(set(self.downstream)) != len(self.downstream):
            raise Refusal("--downstream takes different files, separated by commas.")
        for name, lowest in (("length", 8), ("batch", 1), ("seeds", 1), ("sizes", 3), ("jobs", 1)):
            value = getattr(self, name)
            if value and value < lowest:
                raise Refusal(f"--{name} {value} is too small. The smallest is {lowest}.")

    @property
    def task(self) -> str:
        """The task that the objective is asked by: a member of `allometry.data`."""
        return OBJECTIVES[self.objective]

    @property
    def question(self) -> str:
        """The id of what is asked, whatever the time and the jobs it is given."""
        free = self.edit(minutes=1.0 if self.minutes is not None else None, jobs=0)
        return content_id(free.to_json())

    @property
    def folder_name(self) -> str:
        """A folder of its own for each question, so that the same command goes on where it was."""
        first = Path(self.sources[0]).stem or "data"
        return f"{re.sub(r'[^A-Za-z0-9]+', '-', first).strip('-') or 'data'}-{self.question[:8]}"

    def command(self, **changes: object) -> str:
        """The command line that asks this, with some options changed."""
        asked = self.edit(**changes)
        words = ["allometry", "compare", *([] if asked.sources == ("stdlib",) else [_quoted(s) for s in asked.sources])]
        first = (
            "families",
            "minutes",
            "flops",
            "protocol",
            "objective",
            "scale",
            "downstream",
            "length",
            "batch",
            "seeds",
            "sizes",
        )
        for name in (*first, "tokenizer"):
            words += _option(asked, name)
        for name in ("text_key", "text_column", "precision", "device", "seed"):
            words += _option(asked, name)
        return " ".join(words)


def _option(asked: Request, name: str) -> list[str]:
    value = getattr(asked, name)
    if value == Request.__dataclass_fields__[name].default:  # type: ignore[attr-defined]
        return []
    if isinstance(value, tuple):
        value = ",".join(v if isinstance(v, str) else _number(v) for v in value)
    return ["--" + name.replace("_", "-"), _number(value) if isinstance(value, float) else _quoted(str(value))]


def _number(value: float) -> str:
    """As short as asks the same question.

    >>> _number(5.0), _number(2e10), _number(1234567890.0)
    ('5', '2e+10', '1234567890.0')
    """
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def _quoted(word: str) -> str:
    import shlex

    return shlex.quote(word)
