"""The performance report's three scenarios, for all load tests of this folder:
whose requests they are, how many, and at which pace.

The report gives the typical user half of the traffic and says nothing of the
other half; here the two other scenarios share it.  A count of "2-3 requests"
is drawn anew for each session, and a user begins the next session where one
ends, so that its pace is that of its pauses.

Paces, in seconds from one request of a user to the next, on average:

    report  10 requests in 5 minutes, for the power user 5
    k6      an iteration of 7 requests in 4 seconds, as in the script that the
            report ran, for everybody
"""

import random

# (name, share of the users, ((path, fewest, most) ...), pause at the
# report's pace)

SCENARIOS = (
    ("typical", 0.5, (
        ("/api/review/campaigns", 2, 3),
        ("/api/review/listings", 1, 2),
        ("/api/sns/accounts", 1, 1),
        ("/api/sns/posts", 2, 3),
    ), 30),
    ("power", 0.25, (
        ("/api/dashboard/kpis", 1, 2),
        ("/api/analytics/overview", 1, 1),
        ("/api/sns/analytics", 1, 2),
        ("/api/performance/roi", 1, 1),
    ), 60),
    ("consumer", 0.25, (
        ("/api/review/listings?page=1&per_page=100", 1, 5),
        ("/api/sns/posts?limit=500", 1, 5),
    ), 30),
)

K6_PAUSE = 4 / 7

# what the body of a good answer has, by the path without its query

CONTENT = {
    "/api/review/campaigns": b'"campaigns":',
    "/api/review/listings": b'"listings":',
    "/api/sns/accounts": b'[',
    "/api/sns/posts": b'"posts":',
    "/api/sns/analytics": b'"totals":',
    "/api/dashboard/kpis": b'"revenue":',
    "/api/analytics/overview": b'"total_users":',
    "/api/performance/roi": b'"overall_roi":',
}

# (seconds, users at their end), a straight line in each; users start at 0

STAGES = {
    "default": ((30, 10), (90, 50), (120, 100), (60, 0)),
    "long": ((300, 10), (600, 50), (600, 100), (300, 0)),
    "short": ((5, 5), (10, 10), (15, 20), (10, 0)),
}


def session(requests, draw=random):
    """The paths of one session, in the order of the report."""
    return [path for path, fewest, most in requests
            for _ in range(draw.randint(fewest, most))]


def pause(pace, at_report):
    """Mean seconds from one request of a user to the next."""
    return K6_PAUSE if pace == "k6" else at_report


def users(stages, at):
    """How many there are, `at` seconds after the start; None: it is over."""
    before = 0

    for seconds, after in stages:
        if at < seconds:
            return before + (after - before) * at / seconds
        at -= seconds
        before = after

    return None
