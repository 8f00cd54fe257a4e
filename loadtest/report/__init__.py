"""What a run says of itself, for programs and for people."""
