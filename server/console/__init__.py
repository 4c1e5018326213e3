"""The operator's console: server-rendered pages over the same verbs as HTTP and the command line."""
