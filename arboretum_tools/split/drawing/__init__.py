"""What draws a split: the photos that may enter, their groups, class sizes, the hold-out, the parts."""
