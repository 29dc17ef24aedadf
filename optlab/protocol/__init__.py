"""Protocols: how much each optimizer is tuned, on which seeds its best is judged, and by what."""
