"""The recipe of the starter pack: how its networks are trained, exported and measured."""
