"""What a census is asked to count: a family at a size or a user's module, and the example that it runs on."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from allometry.cli._app import words

if TYPE_CHECKING:
    from torch import nn

    from allometry.flow import IO

OUTSIDE = "package.module:Class or path/to/file.py:build, which gives a module, or a module and its example"
SIZE, LENGTH, VOCAB = 7, 256, 256  # where they apply and nothing is said
LONGEST = 2**14  # tokens: a GB of scores for each head


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Counted:
    """What runs, and what it runs on."""

    module: "nn.Module"
    example: Any
    on: str  # the example in words
    size: int | None = None  # of a family
    io: "IO | None" = None  # of a family, and of a module that reads tokens


def counted(model: str, size: int | None, length: int | None, vocab: int | None, shape: str) -> Counted:
    """Find it, build it, and make its example."""
    from torch import nn

    from allometry.find import member
    from allometry.flow import REFERENCES, Pairs, Refusal, Tokens, in_words
    from allometry.model._family import Family
    from allometry.study.job import FAMILIES

    _lengths(length, vocab)
    sizes = _shape(shape)
    found = member(FAMILIES, model)
    given = {"--size": size, "--length": length, "--vocab": vocab, "--input": shape or None}
    if isinstance(found, type) and issubclass(found, Family):
        only(given, ("--size", "--length", "--vocab"), f"{model} is a family, which says itself what it reads")
        if not (Tokens in found.kinds or Pairs in found.kinds):
            only(given, ("--size",), f"{model} reads no tokens, but {REFERENCES[found.kinds[0]]!r}")
        return _family(found, model, SIZE if size is None else size, length, vocab)
    try:
        built = found() if callable(found) and not isinstance(found, nn.Module) else found
    except Exception as error:  # whatever a user's own code may raise
        raise Refusal(f"{model} cannot be built: {in_words(error)}. Give {OUTSIDE}.") from error
    if isinstance(built, tuple) and len(built) == 2 and isinstance(built[0], nn.Module):
        only(given, (), f"{model} gives a module and its example")
        return Counted(module=built[0], example=built[1], on=f"its own example, {_shapes(built[1])}")
    if not isinstance(built, nn.Module):
        raise Refusal(f"{model} gives {type(built).__name__}, which is no module. Give {OUTSIDE}.")
    only(given, ("--length", "--vocab", "--input"), f"{model} is a module, and a family has sizes")
    if sizes:
        only(given, ("--input",), f"--input {shape} are numbers in place of tokens")
    return _module(built, sizes, length, vocab)


def only(given: dict[str, Any], names: tuple[str, ...], why: str) -> None:
    """Refuse the options that do not apply."""
    from allometry.flow import Refusal

    extra = [f"{name} {value}" for name, value in given.items() if value is not None and name not in names]
    if extra:
        raise Refusal(f"{' '.join(extra)} does not apply: {why}. It takes {' '.join(names) or 'none of these'}.")


@contextmanager
def going_on(model: str) -> Iterator[None]:
    """A user's code that ends the program is said, and does not end it."""
    from allometry.flow import Refusal

    try:
        yield
    except SystemExit as ended:
        raise Refusal(f"{model} ends the program (SystemExit: {ended.code}). Give {OUTSIDE}.") from ended


def _lengths(length: int | None, vocab: int | None) -> None:
    from allometry.flow import Refusal

    if (length is not None and length < 1) or (vocab is not None and vocab < 2):
        given = [f"--{name} {value}" for name, value in (("length", length), ("vocab", vocab)) if value is not None]
        raise Refusal(f"{' '.join(given)}: at least 1 token of 2 symbols.")
    if length is not None and length > LONGEST:
        raise Refusal(
            f"--length {length}: the model runs as its equations are written, and attention on that many tokens holds "
            f"{4 * length**2 / 1e9:,.0f} GB of scores for each head. Give at most {LONGEST:,}, or call al.census on your example."
        )


def _shape(text: str) -> list[int]:
    """The sizes of --input; none where it is not given."""
    from allometry.flow import Refusal

    if not text:
        return []
    try:
        sizes = [int(word) for word in words(text)]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise Refusal(f"--input {text} is no shape. Write whole numbers from 1 on, like --input 1,3,32,32.")
    return sizes


def _family(found: Any, model: str, size: int, length: int | None, vocab: int | None) -> Counted:
    from allometry.flow import REFERENCES, Pairs, Tokens
    from allometry.study.job import family_at
    from allometry.train.example import built, example

    tokens, symbols = LENGTH if length is None else length, VOCAB if vocab is None else vocab
    of_kinds: dict[Any, Any] = {
        Tokens: Tokens(vocab=symbols, length=tokens),
        Pairs: Pairs(vocab=symbols, source=tokens, target=tokens),
    }
    io = next((of_kinds[kind] for kind in of_kinds if kind in found.kinds), REFERENCES[found.kinds[0]])
    family = family_at(model, size, io)
    module = _made(f"{model} on {io!r}", lambda: built(family, io))
    given = _made(f"An example of {io!r}", lambda: example(io, 1)[0])
    return Counted(module=module, example=given, on=f"{_in_words(io)}, size {size}", size=size, io=io)


def _module(module: "nn.Module", sizes: list[int], length: int | None, vocab: int | None) -> Counted:
    import torch

    from allometry.flow import Tokens
    from allometry.train.example import example

    if sizes:
        by = _by(sizes)
        generator = torch.Generator().manual_seed(0)
        given = _made(f"--input {by}", lambda: torch.randn(sizes, generator=generator))
        return Counted(module=module, example=given, on=f"random numbers, {by}")
    io = Tokens(vocab=VOCAB if vocab is None else vocab, length=LENGTH if length is None else length)
    return Counted(module=module, example=_made(f"{io!r}", lambda: example(io, 1)[0]), on=_in_words(io), io=io)


def _in_words(io: "IO") -> str:
    from allometry.flow import Pairs, Tokens

    if isinstance(io, Tokens):
        return f"one sequence of {io.length} tokens of {io.vocab} symbols"
    if isinstance(io, Pairs):
        return f"a source of {io.source} tokens and a target of {io.target}, of {io.vocab} symbols"
    return f"one example of {io!r}"


def _shapes(example: Any) -> str:
    from allometry.probe._census.trace import tensors

    return " and ".join(_by(tensor.shape) for tensor in tensors(example)) or "without a tensor"


def _by(sizes: Iterable[int]) -> str:
    return " x ".join(map(str, sizes)) or "one number"


def _made(what: str, make: Callable[[], Any]) -> Any:
    """What cannot be made from whole numbers is, most likely, too large."""
    from allometry.flow import Refusal, in_words

    try:
        return make()
    except Refusal:
        raise
    except Exception as error:  # torch has several for one that is too large; and a user's own family may raise anything
        raise Refusal(f"{what} cannot be made; perhaps it is too large: {in_words(error)}.") from error
