"""Boolean gates in the responses of a driven array: truth tables, search, verification."""
