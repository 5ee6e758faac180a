"""A self-hosted face recognition server that answers as NHN Cloud's does."""

__version__ = "0.1.0"
