"""What it costs to let a viewer in."""
