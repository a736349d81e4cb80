"""What people read of an evaluation: tables, figures, and what measures are called in both."""
