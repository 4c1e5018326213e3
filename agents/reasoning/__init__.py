"""Ways to diagnose and plan behind one port: declared causes without a model, a model, and the fall back between."""
