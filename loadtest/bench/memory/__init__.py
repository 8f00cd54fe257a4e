"""What a viewer who only listens holds of memory."""
