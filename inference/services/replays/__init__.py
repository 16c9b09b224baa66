"""Replays: asked for, drawn by lot, run by the registry's own auditor, handed in by others."""
