"""What a run recorded: values of ports over its ticks, as Parquet, and the formats that it is exported to."""
