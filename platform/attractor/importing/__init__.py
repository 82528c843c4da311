"""Checks of tables and arrays that somebody brings: CSV, Parquet, NPZ, HDF5, WAV. Nothing is ever unpickled."""
