"""Facebook Pages: posts, photos, videos and reels, made as drafts or published at once, and read back."""
