"""Puts the rooms together: settings in, a house of use cases out; knows every room."""
