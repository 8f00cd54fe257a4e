"""What a comment costs on the wire, counted: a recorded room, its ticks, and the hub's frames of them."""
