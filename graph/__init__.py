"""The state machine that heals: records, rules, nodes and the graph. Imports no sibling folder."""
