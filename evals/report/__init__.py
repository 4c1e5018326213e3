"""The report: one evaluation as a page of HTML that needs nothing else, and as Markdown with the same tables."""
