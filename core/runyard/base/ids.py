"""Identifiers: time-ordered UUIDs (version 7) and friendly names for runs."""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_ADJECTIVES = (  # noqa: SIM905  # one text is easier to read than a list
    "able agile amber ample azure bold brave brisk bright calm candid cedar clever cobalt copper "
    "coral crisp curious daring dapper deft eager early earnest easy fair fancy fearless fleet "
    "fluent fond frank fresh gentle gifted glad golden grand green hardy hearty honest humble "
    "ideal indigo ivory jade jolly keen kind lively loyal lucid lucky mellow merry mighty mild "
    "modest neat nimble noble olive open patient placid plucky polite prime proud quick quiet "
    "rapid ready robust rosy royal ruby sage scarlet serene sharp silver smart solid spry stable "
    "steady stout sunny super swift tidy trusty upbeat valiant vivid warm wise witty worthy zesty"
).split()
_NOUNS = (  # noqa: SIM905  # see above
    "albatross alpaca antelope avocet badger beaver beetle bison bobcat buffalo bunting camel "
    "caribou cheetah chipmunk condor cormorant coyote crane cricket curlew deer dolphin dove "
    "dragonfly eagle egret elk falcon ferret finch firefly fox gazelle gecko gibbon goose grouse "
    "gull hare hawk hedgehog heron hornet ibex ibis impala jackal jaguar kestrel kingfisher "
    "kiwi koala lark lemur leopard linnet llama lynx magpie mallard marmot marten meerkat mole "
    "moose narwhal newt ocelot orca oriole osprey otter owl panda panther parrot pelican penguin "
    "petrel plover puffin puma quail rabbit raven robin salmon seal shrew sparrow squirrel stoat "
    "stork swallow swan tapir tern thrush tiger toucan trout turtle walrus weasel whale wolf wren"
).split()

# Characters that are invalid in names, because names are part of URLs and of `flow/deployment`.
FORBIDDEN = "/%&><"

# Random parts of the next ids, drawn in one system call; `next` on the iterator is atomic.
_tails: Iterator[str] = iter(())
# The size of the next draw; it starts small because many processes need few ids.
_FEWEST, _MOST = 16, 256
_size = _FEWEST
# The last millisecond of an id, and how such ids start.
_start = (-1, "")


def _draw() -> str:
    """Refill the pool and return the first value."""
    global _tails, _size
    size, _size = _size, _MOST
    noise = os.urandom(8 * size).hex()
    fresh = iter(
        [
            f"-{'89ab'[int(noise[at], 16) & 3]}{noise[at + 1 : at + 4]}-{noise[at + 4 : at + 16]}"
            for at in range(0, 16 * size, 16)
        ]
    )
    _tails = fresh
    return next(fresh)


def _forget() -> None:
    """Clear the pool in a forked child, so that it does not use the ids of its parent."""
    global _tails, _size
    _tails, _size = iter(()), _FEWEST


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def new_id() -> str:
    """A new UUID of version 7 (RFC 9562): ids sort by their creation time.

    The 12 bits after the millisecond hold its fraction (method 3 of the RFC), so ids of one process
    are ordered to a quarter of a microsecond.
    """
    global _start
    millisecond, rest = divmod(time.time_ns(), 1_000_000)
    known, start = _start
    if millisecond != known:
        text = f"{millisecond:012x}"
        start = f"{text[:8]}-{text[8:]}-7"
        _start = (millisecond, start)
    return f"{start}{rest * 4096 // 1_000_000:03x}{next(_tails, None) or _draw()}"


def new_name() -> str:
    """A generated name for a run, such as `calm-otter`."""
    draw = int.from_bytes(os.urandom(4))
    adjective = _ADJECTIVES[draw % len(_ADJECTIVES)]
    return f"{adjective}-{_NOUNS[draw // len(_ADJECTIVES) % len(_NOUNS)]}"
