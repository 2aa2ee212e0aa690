"""Methods as switches, and the one loop that trains them."""
