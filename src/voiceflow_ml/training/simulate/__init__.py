"""Seeded conversations from real clips: turns, overlap, rooms, noise, and exact labels."""
