"""Questions to an index: both legs, fused, filtered, grouped and explained."""
