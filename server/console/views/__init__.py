"""What pages show, as values: pure functions over records, so that a page can be tested without a browser."""
