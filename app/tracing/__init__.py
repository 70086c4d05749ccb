"""Traces, by OpenTelemetry: from a request through statements and Redis calls to the commit, and one per publication.

Only `app.processes` opens this, and only where an endpoint is set: services know nothing of it. What is traced are
subclasses of the parts a process is built from (`app.parts`), so an untraced process runs not one line more.

provider     exports over OTLP, as the standard OTEL_ variables say
statements   connections whose statements are spans
redis        a gate whose calls are spans
publishing   a publisher whose runs are traces of their own, linked to the request that scheduled them
requests     the middleware that begins and names a request's trace
sockets      a handler whose operations are spans, within the trace of their socket
"""

from app.tracing.provider import open_tracing as open_tracing
