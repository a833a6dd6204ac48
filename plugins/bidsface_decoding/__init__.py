"""Decoding of displayed and observed facial expressions: hook implementations only."""
