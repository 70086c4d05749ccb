"""OAuth 2.0 of the three platforms: a page where a person says yes, a code, and the tokens it is worth."""
