"""What a person may do with posts, and an operator with what failed."""

from services.posts.composing import Composer
from services.posts.failed import FailedPosts
from services.posts.rewriting import Rewriter
from services.posts.service import PostService

__all__ = ["Composer", "FailedPosts", "PostService", "Rewriter"]
