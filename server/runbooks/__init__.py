"""The operators' own runbooks: Markdown files that a reasoner is given where they are about its incident.

They advise; what may be done is declared elsewhere. Which of them an alert may point to is decided by their folder.
"""
