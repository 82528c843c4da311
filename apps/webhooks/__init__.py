"""Webhooks: what happens in a workspace, told to addresses of its own."""
