"""What is counted, and where Prometheus reads it."""

from app.metrics.counting import Metrics
from app.metrics.page import metrics_routes
from app.metrics.standing import Standing

__all__ = ["Metrics", "Standing", "metrics_routes"]
