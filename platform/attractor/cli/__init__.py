"""The command line `attractor`."""
