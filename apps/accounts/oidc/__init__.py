"""Signing in by any OpenID Connect server.

allauth's flow (state, PKCE, code), and what it leaves out: a nonce, the signature of the ID token, its `azp`, the
issuer that the server claims for itself, the `iss` of the answer (RFC 9207) and the subject of what the server says
about people.
"""
