"""What is kept: tables, the queries over them, and the encryption that covers every vector."""
