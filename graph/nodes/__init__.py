"""The nodes of the graph, one file each: a node reads the heal, asks one port or one rule, returns what it found."""
