"""Who may do what over HTTP: actors with a role, from tokens, sessions and single sign-on."""
