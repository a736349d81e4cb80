"""What people see while they work in Python: bars of long functions, and what notebooks show of objects."""
