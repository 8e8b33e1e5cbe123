"""What is observed of the world: source, data, environment, hardware, and the command itself.

Each module returns what it found and, for the record's `missing` map, what it could not find and
why. Nothing here writes to the ledger.
"""
