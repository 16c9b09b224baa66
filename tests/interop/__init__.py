"""Programs that are not ours read what we write; where one is absent, its tests are skipped."""
