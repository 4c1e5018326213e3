"""Much text into little: what a model reads costs by the token, and what is told must still be what was seen."""
