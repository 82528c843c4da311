"""Writers of recordings and tables in the formats of other programs, one a file."""
