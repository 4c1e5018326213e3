"""Cases in other people's shapes, made into ours, so that outside benchmarks can be run against this product."""
