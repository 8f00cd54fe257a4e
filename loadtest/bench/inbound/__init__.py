"""What a core of the server takes in: commands a second, read, decoded, validated, answered."""
