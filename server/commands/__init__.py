"""The commands of `selfheal`, one topic a file; `server.cli` puts them together."""
