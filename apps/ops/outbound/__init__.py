"""Requests to addresses that somebody else has a say in: they reach the public Internet, and nothing of ours.

Whatever code of ours calls an address that a user, or a server which is not ours, can choose goes through here:
`address` judges what is written and where a name leads, and what connects asks it at the moment of connecting.
"""
