"""What a person may do with posts."""

from services.posts.service import PostService

__all__ = ["PostService"]
