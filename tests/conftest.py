"""How Hypothesis behaves in every test."""

from hypothesis import settings

# A machine that has much else to do makes any example late; pytest has a limit for each test.
settings.register_profile("facereco", deadline=None)
settings.load_profile("facereco")
