"""What a user may write in YAML, checked key by key."""
