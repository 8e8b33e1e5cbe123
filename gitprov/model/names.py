"""Two-word names for runs that were not given one."""

_ADJECTIVES = (
    "amber ample apt bold brave brief bright brisk calm candid clear clever cosy crisp "
    "curious dapper deft early eager even fair fine firm fleet fond frank fresh gentle glad "
    "golden grand happy hardy honest humble jolly keen kind lively loyal lucid merry mild neat "
    "nimble noble open plain polite proud quick quiet rapid ready rosy silver sleek smooth solid "
    "steady sunny tidy vivid warm"
).split()
_NOUNS = (
    "acorn alder anchor aspen badger beacon birch brook cedar cliff clover comet coral crane "
    "delta dune ember falcon fern finch fjord gale glade grove harbor hazel heron hollow iris "
    "island ivy juniper kestrel lagoon lark laurel linden lotus maple marten meadow mesa moss "
    "nectar oak orchid osprey otter pebble pine plover poplar quartz raven reef ridge river robin "
    "sage sparrow spruce thicket tulip willow"
).split()


def name_for(run_id: str) -> str:
    """Return the two words that stand for `run_id` (the same ones each time)."""
    digits = [ord(letter) - ord("k") for letter in run_id[:4]]
    adjective = _ADJECTIVES[digits[0] * 4 + digits[1] % 4]
    noun = _NOUNS[digits[2] * 4 + digits[3] % 4]
    return f"{adjective}-{noun}"
