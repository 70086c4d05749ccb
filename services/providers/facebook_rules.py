"""What Facebook's publishing codes mean beyond the Graph's own.

Published maps of the 136xxxx subcodes disagree in places: what is not here falls back on the code above it.
"""

from datetime import timedelta

from services.providers.failures import CONTENT, DOUBTFUL, START_ANEW, wait_for
from services.providers.graph import GRAPH_RULES, Rules

FACEBOOK_RULES: Rules = {
    **GRAPH_RULES,
    (6000, None): CONTENT,  # the file
    (None, 1363022): CONTENT,  # size
    (None, 1363023): CONTENT,  # size
    (None, 1363024): CONTENT,  # format
    (None, 1363025): CONTENT,  # length
    (None, 1363026): CONTENT,  # length
    (None, 1363031): CONTENT,  # format
    (None, 1363032): CONTENT,  # format
    (None, 1363033): START_ANEW,  # offset
    (None, 1363037): START_ANEW,  # offset
    (None, 1363041): START_ANEW,  # session expired
    (None, 1363045): START_ANEW,  # offset
    (None, 1366046): CONTENT,  # photo
    (None, 1366051): DOUBTFUL,  # already posted: so ask
    (368, 1390008): wait_for(timedelta(minutes=15)),  # too fast
}
