"""What a Keras version decides: the rules that a file does not spell out.

``keras_version`` alone is ambiguous twice: ``2.2.4-tf`` was written by TensorFlow 1.13 to 1.15 and
by 2.0, ``2.3.0-tf`` by 2.1 and 2.2, whose rules differ. Traces in the file tell them apart.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from ..model import Activation, WrapperMask
from .reading import Problem

Zeroing = Literal["never", "always", "rnn only"]


class Era(NamedTuple):
    """The rules of one Keras version.

    Attributes:
        version: as the file spells it; ``""`` where it does not.
        numbers: the same as numbers, for comparison.
        flavour: ``standalone`` Keras below 3, ``tf`` for tf.keras and tf_keras, ``keras3``.
        backend: tensorflow, theano, torch, jax …
        bidirectional_zeros: whether Bidirectional zeroes masked outputs when it returns sequences.
        integers: the type of Keras 3's own whole numbers (steps trained, samples counted) in the
            file; ``""`` where it holds none.
    """

    version: str
    numbers: tuple[int, ...]
    flavour: Literal["standalone", "tf", "keras3"]
    backend: str
    bidirectional_zeros: Zeroing
    integers: str = ""

    @property
    def is_keras3(self) -> bool:
        return self.flavour == "keras3"

    @property
    def is_other_backend(self) -> bool:
        """Whether a file of Keras 3 that names no backend was not written by TensorFlow's.

        Source: ``standardize_dtype`` of Keras 3: "int" is int64 there, and int32 elsewhere.
        """
        return self.is_keras3 and not self.backend and self.integers == "int32"

    @property
    def is_keras1(self) -> bool:
        return self.numbers < (2,)

    @property
    def hard_sigmoid(self) -> Activation:
        """0.2 x + 0.5 before Keras 3, x/6 + 0.5 from it on."""
        return Activation("hard_sigmoid", 1 / 6 if self.is_keras3 else 0.2, 0.5)

    @property
    def default_recurrent_activation(self) -> str:
        if self.flavour == "standalone":
            return "hard_sigmoid" if self.numbers < (2, 3) else "sigmoid"
        return "hard_sigmoid" if self.is_tf1 else "sigmoid"

    @property
    def is_tf1(self) -> bool:
        """tf.keras of TensorFlow 1.x, as far as the version tells."""
        return self.flavour == "tf" and (
            self.numbers < (2, 2)
            or (self.numbers == (2, 2, 4) and self.bidirectional_zeros == "always")
        )

    @property
    def masked_output_is_state(self) -> bool:
        """Masked steps output the current state, not the previous output (zeros at first)."""
        if self.backend == "theano":
            return False
        if self.flavour == "standalone":
            return self.numbers <= (2, 2, 5)
        return self.flavour == "tf" and self.numbers < (2, 2)

    @property
    def stacked_states_reversed(self) -> bool:
        """Stacked cells hand their states on last cell first (Keras 2.0.9 to 2.2.2, TF 1.8)."""
        if self.flavour == "standalone":
            return self.numbers < (2, 2, 3)
        return False

    @property
    def explicit_masks_stay(self) -> bool:
        """A mask given to a layer by hand goes on to later layers, in place of the implicit one."""
        return not self.is_keras3 or self.numbers >= (3, 11)

    @property
    def lists_lose_masks(self) -> bool:
        """Layers called on a list, such as merges, hand on no mask (Keras 3.0 to 3.3)."""
        return self.is_keras3 and self.numbers < (3, 4)

    @property
    def mask_merge(self) -> Literal["and", "or"]:
        return "or" if self.is_keras3 and self.numbers >= (3, 4) else "and"

    @property
    def saves_no_invert(self) -> bool:
        """Normalization may be inverted, and its config does not say so."""
        return self.flavour == "tf" and self.numbers < (2, 13)

    @property
    def wrapper_mask(self) -> WrapperMask:
        """Which mask a TimeDistributed hands on."""
        if self.is_keras3:
            return "passed"
        # tf.keras of TensorFlow 1.8 to 1.12 calls itself 2.1.x, and has the rule of Keras 2.2.
        return "unread" if self.flavour == "standalone" and self.numbers < (2, 2) else "inner"

    @property
    def writer(self) -> str:
        """The framework and version, in words."""
        backends = {
            "tensorflow": "TensorFlow",
            "theano": "Theano",
            "cntk": "CNTK",
            "jax": "JAX",
            "torch": "PyTorch",
            "numpy": "NumPy",
            "openvino": "OpenVINO",
        }
        if not self.version:
            return "Keras, version unknown"
        if self.flavour == "tf":
            return f"tf.keras {self.version} ({self._tensorflow()})"
        backend = backends.get(self.backend, self.backend)
        return f"Keras {self.version}" + (f", {backend} backend" if backend else "")

    def _tensorflow(self) -> str:
        if self.numbers[:2] == (2, 1):
            return "TensorFlow 1.8 to 1.12"
        if self.numbers == (2, 2, 4):
            return "TensorFlow 2.0" if not self.is_tf1 else "TensorFlow 1.13 to 1.15"
        if self.numbers == (2, 3, 0):
            return "TensorFlow 2.2" if self.bidirectional_zeros == "always" else "TensorFlow 2.1"
        if self.numbers[:2] >= (2, 16):
            return "the tf_keras package"
        return f"TensorFlow {self.numbers[0]}.{self.numbers[1]}"


class Clues(NamedTuple):
    """What else in a file tells versions apart.

    Attributes:
        theano_names: weight names lack TensorFlow's ``:0``.
        implementation_1: a recurrent layer says ``implementation: 1`` (TensorFlow 1.x's default).
        cell_names: weight names have a cell in them: ``lstm/lstm_cell/kernel:0``.
    """

    theano_names: bool = False
    implementation_1: bool = False
    cell_names: bool = False


def era(version: str, backend: str = "", clues: Clues | None = None) -> Era:
    """The rules of the Keras that wrote ``version``; without one, Keras 1 (as Keras assumes).

    Raises:
        Problem: if the version is not one.
    """
    clues = clues or Clues()
    match = re.match(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?", version or "1.0.0")
    if not match:
        raise Problem(f"keras_version should be a version such as 2.2.4, found '{version[:40]}'")
    numbers = tuple(int(part or 0) for part in match.groups())
    if not backend and numbers < (2,):
        backend = "theano" if clues.theano_names else "tensorflow"
    if numbers >= (3,):
        return Era(version, numbers, "keras3", backend, "always")
    if "-tf" not in version and numbers < (2, 4):
        return Era(version, numbers, "standalone", backend, "never")
    zeros: Zeroing = "always"
    if numbers < (2, 2):
        zeros = "never"
    elif numbers == (2, 2, 4) and not clues.implementation_1:
        zeros = "rnn only"
    elif numbers == (2, 3, 0) and not clues.cell_names:
        zeros = "rnn only"
    return Era(version, numbers, "tf", backend, zeros)
