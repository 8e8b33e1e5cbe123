"""Which program a command starts in the end, found without starting anything."""
