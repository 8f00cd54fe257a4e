"""One message to everybody: ours beside a C loop and beside other servers, with the same sink."""
