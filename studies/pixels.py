"""Say which digit an image shows, read pixel by pixel: the MNIST and permuted MNIST of Tallec and Ollivier 2018 (arXiv:1804.11188).

    allometry run studies/pixels.py --part digits             # the small digits of scikit-learn, 64 pixels
    ALLOMETRY_MNIST=folder allometry run studies/pixels.py --part mnist     # 784 pixels, from IDX files in a folder
    allometry run studies/pixels.py --dry-run                 # hours of each part on this machine

The paper's size: UNITS = 512, more STEPS, and in `arm` the 60,000 images as images and labels and these 10,000 as test_images and
test_labels.
"""

import os
from pathlib import Path

from allometry import Arm, Expectation, Experiment, OneLayer, Refusal, Rmsprop, task

Pixels = task("pixels")
SEEDS, UNITS, BATCH = 3, 128, 32
RATE = 1e-3  # as the paper's other tasks; its optimiser for images is not stated
STEPS = {"digits": 2_000, "mnist": 2_500}
FOLDER = os.environ.get("ALLOMETRY_MNIST")  # with t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte


def file(what: str) -> str:
    """The IDX file of images or labels, unpacked or as .gz."""
    found = sorted(Path(FOLDER).glob(f"t10k-{what}*"))
    if not found:
        raise Refusal(f"ALLOMETRY_MNIST: {FOLDER} has no file t10k-{what}-idx?-ubyte. Give the folder of MNIST's test set.")
    return str(found[0])


def arm(part: str, permuted: bool, t_max: float) -> Arm:
    """An LSTM. `t_max` 0 is the standard start, a forget bias of 1."""
    files = [file(what) for what in ("images", "labels")] if part == "mnist" else ["", ""]
    panel = "pixels in an order drawn once" if permuted else "pixels row by row"
    line = "chrono" if t_max else "forget bias 1"
    return Arm(
        name=f"{line}, {panel}",
        line=line,
        panel=panel,
        model=OneLayer(cell="lstm", width=UNITS, t_max=t_max),
        task=Pixels(images=files[0], labels=files[1], permuted=permuted),
        recipe=Rmsprop(rate=RATE, clip=1.0, hold=0.5),
        steps=STEPS[part],
        batch=BATCH,
    )


def experiment(part: str, pixels: int) -> Experiment:
    arms = [arm(part, permuted, t_max) for permuted in (False, True) for t_max in (float(pixels), 0.0)]
    return Experiment(
        title=f"Pixels: {part}",
        about=f"""\
An image is read pixel by pixel, row after row or in one order that was drawn once, and at the end its digit is asked.

The paper (512 units, 60,000 images): no clear difference in plain order; where it is permuted 96.3 % right with chrono
initialisation and 95.4 % with the standard start.

Ours: {UNITS} units, fewer images (four fifths of a file of 10,000 for training, or the small digits of scikit-learn), so the shares
are not those of the paper. Longest time scale {pixels}, the number of pixels; gradients are clipped, and the rate falls in the
second half.""",
        seeds=SEEDS,
        sequences=2000,
        arms=tuple(arms),
        expectations=(
            Expectation(
                text="In permuted order chrono initialisation answers fewer wrongly",
                arm=arms[2].name,
                against=arms[3].name,
                measure="error",
                at_most=1.0,
                paper="96.3 % right against 95.4 %",
            ),
            Expectation(
                text="In plain order it answers no more wrongly by more than a fifth",
                arm=arms[0].name,
                against=arms[1].name,
                measure="error",
                at_most=1.2,
                paper="no clear difference",
            ),
        ),
    )


study = {"digits": experiment("digits", 64)}
if FOLDER:
    study["mnist"] = experiment("mnist", 784)
