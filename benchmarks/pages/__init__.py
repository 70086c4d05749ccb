"""The API beside what else one could have: `make bench`.

data        200 people with three accounts each and 100,000 posts, written by set-based SQL
questions   seven questions, each as an HTTP request and as what its answer must be
by_hand     the limit: bare Starlette, hand-written SQL that answers with JSON, no questions asked
by_orm      what a good team would write: Strawberry, SQLAlchemy's ORM, aiodataloader
servers     each of the three as one process on one core, and how much CPU it and PostgreSQL took
load        connections that ask again as soon as they are answered
report      the interleaved rounds, the figures, the ratios
"""
