"""The compiled tier: regions of tensor nodes, traced through the interpreter and compiled by torch's inductor."""
