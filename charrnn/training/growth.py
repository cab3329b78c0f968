"""A network that gets to know more characters: new rows and columns where each character has one, the rest as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from charrnn.errors import TextError
from charrnn.network.architecture import Architecture
from charrnn.network.arrays import Array, aligned_zeros
from charrnn.network.blocks import blocks
from charrnn.network.network import Network
from charrnn.text.corpus import Corpus
from charrnn.text.vocabulary import Vocabulary
from charrnn.training.best import Lowest
from charrnn.training.run import Run


def extended(network: Network, run: Run | None, text: str | bytes | Corpus, rng: np.random.Generator) -> tuple[Network, Run | None, str]:
    """The network with the characters of a text added to its vocabulary, the run that goes on with it, and what was added.

    New columns of the first layer's U and rows of V are as in a new network of these settings, drawn from rng; new entries of c are 0,
    and so is the optimiser's state for all of them.
    """
    known = network.vocabulary
    new = "".join(sorted(characters_of(text, known) - set(known.characters)))
    if not new:
        return network, run, ""
    unknown = known.unknown or (text.vocabulary.unknown if isinstance(text, Corpus) else None)
    vocabulary = Vocabulary("".join(sorted(known.characters + new)), known.raw_bytes, unknown)
    architecture = network.settings.architecture(len(vocabulary))
    theta = network.settings.initial_theta(architecture, rng)
    places = vocabulary.encode(known.decode(np.arange(len(known))))  # the new ids of the characters that were known
    carry_over(theta, architecture, network.theta, network.architecture, places)
    if run is not None:
        slots = None
        if run.slots is not None:
            slots = aligned_zeros((len(run.slots), *theta.shape), network.dtype)
            for slot, old in zip(slots, run.slots, strict=True):
                carry_over(slot, architecture, old, network.architecture, places)
        run = replace(run, slots=slots, best=None, safe=None, lowest=Lowest(), smooth=run.smooth.copy(), fingerprint="")
        run.smooth.begin_text()
    return Network(network.settings, vocabulary, theta, network.level), run, new


def characters_of(text: str | bytes | Corpus, known: Vocabulary) -> set[str]:
    """The distinct characters of a text (bytes as the characters of the same codes), or TextError."""
    if isinstance(text, Corpus):
        if text.vocabulary.raw_bytes != known.raw_bytes:
            raise TextError(f"a model of {kind(known.raw_bytes)} cannot learn the vocabulary of {text.name}, which is of the other kind")
        return set(text.vocabulary.characters)
    if not isinstance(text, bytes if known.raw_bytes else str):
        raise TextError(f"a model of {kind(known.raw_bytes)} learns more of them from such a text, got {type(text).__name__}")
    return set(text.decode("latin-1") if isinstance(text, bytes) else text)


def kind(raw_bytes: bool) -> str:
    return "bytes" if raw_bytes else "characters"


def carry_over(array: Array, architecture: Architecture, old: Array, old_architecture: Architecture, places: Array) -> None:
    """What is in old, shaped like theta, into a larger array: the character that had id k has places[k] there."""
    for block, before in zip(blocks(architecture), blocks(old_architecture), strict=True):
        view, values = block.view(array), before.view(old)
        if block.letter == "U" and block.layer == 0:
            view[:, places] = values
        elif block.letter in "Vc":
            view[places] = values
        else:
            view[:] = values
