"""The second factor: a code of an authenticator app, or one of the recovery codes.

`secret` draws and seals what an app shares with the site; `totp` computes codes; `recovery` makes and takes recovery
codes; `patience` slows guessing down; `codes` takes a code of whatever kind; `enrolment` switches the whole on and off;
`stage` asks for a code at login; `gate` lets no session pass that has not shown one.
"""
