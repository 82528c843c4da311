"""The second factor: a code of an authenticator app, a passkey, or one of the recovery codes.

`secret` draws and seals what an app shares with the site; `totp` computes codes; `recovery` makes and takes recovery
codes; `patience` slows guessing down and `guesses` tells of it; `codes` takes a code of whatever kind; `relying_party`
says as whom the site asks for passkeys; `challenges` draws what they sign, `ceremony` checks it; `passkeys` adds and
removes them, `assertions` takes what one has signed; `factors` knows all that a person has; `enrolment` switches the
whole on and off; `stage` asks at login; `gate` lets no session pass that has not shown a factor.
"""
