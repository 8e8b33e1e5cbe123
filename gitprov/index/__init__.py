"""The index: sqlite, derived from the ledger alone, for listings and searches.

It can be deleted at any time. It is never behind what it answers for: every use first takes in
what the ledger has gained.
"""
