"""Questions to an index: both legs, fused, filtered, grouped, explained, and cut off."""
