"""Synthetic studies with planted truth, in the folders and names of real ones."""
