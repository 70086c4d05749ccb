"""YouTube's Data API: resumable uploads, and what is read back of a channel and its videos."""
