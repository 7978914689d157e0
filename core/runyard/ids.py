"""Identifiers: time-ordered UUIDs (version 7) and friendly names for runs."""

import os
import time

_ADJECTIVES = (
    "able agile amber ample azure bold brave brisk bright calm candid cedar clever cobalt copper "
    "coral crisp curious daring dapper deft eager early earnest easy fair fancy fearless fleet "
    "fluent fond frank fresh gentle gifted glad golden grand green hardy hearty honest humble "
    "ideal indigo ivory jade jolly keen kind lively loyal lucid lucky mellow merry mighty mild "
    "modest neat nimble noble olive open patient placid plucky polite prime proud quick quiet "
    "rapid ready robust rosy royal ruby sage scarlet serene sharp silver smart solid spry stable "
    "steady stout sunny super swift tidy trusty upbeat valiant vivid warm wise witty worthy zesty"
).split()
_NOUNS = (
    "albatross alpaca antelope avocet badger beaver beetle bison bobcat buffalo bunting camel "
    "caribou cheetah chipmunk condor cormorant coyote crane cricket curlew deer dolphin dove "
    "dragonfly eagle egret elk falcon ferret finch firefly fox gazelle gecko gibbon goose grouse "
    "gull hare hawk hedgehog heron hornet ibex ibis impala jackal jaguar kestrel kingfisher "
    "kiwi koala lark lemur leopard linnet llama lynx magpie mallard marmot marten meerkat mole "
    "moose narwhal newt ocelot orca oriole osprey otter owl panda panther parrot pelican penguin "
    "petrel plover puffin puma quail rabbit raven robin salmon seal shrew sparrow squirrel stoat "
    "stork swallow swan tapir tern thrush tiger toucan trout turtle walrus weasel whale wolf wren"
).split()


def new_id() -> str:
    """A fresh UUID of version 7 (RFC 9562): ids made later sort later."""
    value = time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF000 << 64) & ~(0xC000 << 48) | (0x7000 << 64) | (0x8000 << 48)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def new_name() -> str:
    """A name for a run nobody named, such as `calm-otter`."""
    draw = int.from_bytes(os.urandom(4))
    adjective = _ADJECTIVES[draw % len(_ADJECTIVES)]
    return f"{adjective}-{_NOUNS[draw // len(_ADJECTIVES) % len(_NOUNS)]}"
