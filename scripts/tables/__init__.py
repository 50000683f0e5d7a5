"""Tables of real measurements, and searches replayed over them on a virtual clock."""
