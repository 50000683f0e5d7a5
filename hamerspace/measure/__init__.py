"""Measuring: sessions in bare processes, protocols, and the statistics behind the figures."""
