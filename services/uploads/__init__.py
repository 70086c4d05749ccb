"""What people upload: measured, stored, and found again."""
