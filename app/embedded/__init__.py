"""PostgreSQL and Redis of our own, started as children where no URL is set, from the binaries of two wheels.

servers     EmbeddedServers: one owner per data folder, later processes join
postgres    the cluster: made once, started, asked whether it is ready
redis       the same for Redis
children    a child process that cannot outlive its parent
ownership   the lock on the folder and the state file that joiners read
placement   which user the servers run as, and which folder that user can reach
binaries    where the programs are
errors      EmbeddedServersUnavailable
"""

from app.embedded.errors import EmbeddedServersUnavailable as EmbeddedServersUnavailable
from app.embedded.servers import EmbeddedServers as EmbeddedServers
from app.endpoints import Endpoints as Endpoints
