"""Medical images and reports for vlcore."""
