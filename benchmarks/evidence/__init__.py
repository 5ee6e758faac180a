"""What a pack does on a customer's machine and pictures, as a page that stands on its own."""
