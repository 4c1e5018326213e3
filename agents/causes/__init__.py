"""Declared causes by issue type, each with its signature over facts and its remedies, least harmful first.

Signatures are ordered facts, not guesses: each cites what it rests on. Scores leave room for a more specific cause
(a unit that failed *on its configuration*) to win over a general one (a unit that failed).
"""
